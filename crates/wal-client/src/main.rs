//! `wal-client wal-archive PATH` and `wal-client wal-restore NAME PATH`.

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    std::process::ExitCode::from(pgherd_wal_client::client::run_if_asked(&arguments).unwrap_or_else(|| {
        eprintln!("wal-client: expected `wal-archive PATH` or `wal-restore NAME PATH`, which postgres calls");
        // Above 125: a recovery stops instead of taking this for the end of WAL.
        200
    }))
}
