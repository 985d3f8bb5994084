//! The manager: PID 1 of a postgres pod, its watchdog, and the tiny clients that postgres runs.

fn main() -> std::process::ExitCode {
    pgherd_manager::cli::main()
}
