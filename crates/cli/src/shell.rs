//! `pgherd completion` and `pgherd man`: what a shell and `man` are told, made from the command line itself.

use std::path::Path;

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;

use crate::output;

/// Prints the completion script of one shell.
pub fn completion(mut command: Command, name: &str, shell: Shell) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    output::write(&script)?;
    Ok(0)
}

/// Prints the page of the program; with a directory, writes one for each verb there.
pub fn man(command: Command, directory: Option<&Path>) -> anyhow::Result<u8> {
    match directory {
        Some(directory) => {
            std::fs::create_dir_all(directory)
                .and_then(|()| clap_mangen::generate_to(command, directory))
                .with_context(|| format!("failed to write pages to {}", directory.display()))?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page).context("failed to make the page")?;
            output::write(&page)?;
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::man;
    use crate::args::Arguments;
    use clap::CommandFactory;

    #[test]
    fn every_verb_has_a_page() {
        let directory = tempfile::tempdir().unwrap();
        man(Arguments::command(), Some(directory.path())).unwrap();
        let page = |name: &str| std::fs::read_to_string(directory.path().join(format!("{name}.1"))).unwrap();
        assert!(page("pgherd").contains("hibernate"));
        for verb in Arguments::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            assert!(page(&format!("pgherd-{}", verb.get_name())).contains(".SH NAME"), "{}", verb.get_name());
        }
    }

    #[test]
    fn each_shell_completes_the_verbs() {
        for shell in [clap_complete::Shell::Bash, clap_complete::Shell::Zsh, clap_complete::Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "pgherd", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("hibernate") && script.contains("fencing"), "{shell}");
        }
    }
}
