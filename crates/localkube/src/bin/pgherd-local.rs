//! The hidden verbs of the local environment without the rest of `pgherd`: what the tests of this crate start.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    pgherd_localkube::daemon::run_hidden(&arguments).unwrap_or_else(|| {
        eprintln!("this program is started by the local environment only");
        ExitCode::from(2)
    })
}
