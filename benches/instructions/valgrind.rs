//! Runs a case under callgrind and reads what it has counted.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::RUN;

/// Counting begins and ends with the function whose name holds this: see `cases::counted_instructions`.
const COUNTED: &str = "--toggle-collect=*counted_instructions*";

/// The instructions of a case.
pub fn count(case: &str) -> Result<u64, String> {
    let directory = root().join("target/instructions");
    std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = valgrind()
        .args(["--tool=callgrind", COUNTED])
        .arg(format!(
            "--callgrind-out-file={}",
            directory.join(format!("{case}.out")).display()
        ))
        .arg(program)
        .args([RUN, case])
        .output()
        .map_err(|error| {
            format!("valgrind does not run ({error}): `make services` fetches Debian's, elsewhere install it")
        })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let counted = said.lines().find_map(|line| {
        let (_, count) = line.split_once("Collected : ")?;
        count.trim().parse().ok()
    });
    match counted {
        Some(count) if count > 0 && output.status.success() => Ok(count),
        _ => Err(format!("{case} under valgrind: {}\n{said}", output.status)),
    }
}

/// The one that `scripts/services/fetch` has fetched, or the system's.
fn valgrind() -> Command {
    let fetched = root().join(".services/valgrind/usr");
    let program = fetched.join("bin/valgrind");
    if !program.is_file() {
        return Command::new("valgrind");
    }
    let mut command = Command::new(program);
    command.env("VALGRIND_LIB", fetched.join("libexec/valgrind"));
    command
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}
