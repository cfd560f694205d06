//! Alluvium with a target of one's own: `target=example` in the configuration.

use std::process::ExitCode;
use std::sync::Arc;

use alluvium::Targets;
use alluvium_target_example::ExampleTarget;

fn main() -> ExitCode {
    let targets =
        Targets::standard().with("example", |keys| Ok(Arc::new(ExampleTarget::new(keys)?)));
    alluvium::cli::main(&targets)
}
