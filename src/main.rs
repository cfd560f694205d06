//! The program: Alluvium with its standard targets.

use std::process::ExitCode;

fn main() -> ExitCode {
    alluvium::cli::main(&alluvium::Targets::standard())
}
