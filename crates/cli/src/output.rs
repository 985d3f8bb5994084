//! Printing: tables for people, JSON or YAML for programs, colours on a terminal only. A closed pipe is no error.

use std::io::{IsTerminal, Write};

use anyhow::Context;
use serde::Serialize;

use crate::args::Output;

/// One document, or the text.
pub fn print(shape: Output, value: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
    let mut shown = match shape {
        Output::Table => text(),
        Output::Json => serde_json::to_string_pretty(value)?,
        Output::Yaml => serde_yaml_ng::to_string(value).context("failed to write YAML")?,
    };
    if !shown.ends_with('\n') {
        shown.push('\n');
    }
    write(shown.as_bytes())
}

/// The bytes as they are.
pub fn write(bytes: &[u8]) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Whether a person looks at standard output, on something that knows colours and was not told to go without
/// (`NO_COLOR`).
pub fn has_colours() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|kind| kind == "dumb");
    std::io::stdout().is_terminal() && !dumb && !set("NO_COLOR")
}

/// Columns as wide as their widest cell.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(|row| line(row) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(table(&[row(["NAME", "X"]), row(["a", "long"])]), "NAME  X\na     long\n");
    }
}
