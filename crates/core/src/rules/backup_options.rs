//! `backup.barmanObjectStore.data.additionalCommandArgs`: those options of `barman-cloud-backup` that mean something
//! without it.

/// What the options say; absent where they say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupOptions {
    /// `--jobs`
    pub jobs: Option<u32>,
    /// `--max-archive-size`, in bytes.
    pub max_archive_size: Option<u64>,
    /// `--min-chunk-size`, in bytes.
    pub min_chunk_size: Option<u64>,
    /// `--max-bandwidth`, in bytes a second.
    pub max_bandwidth: Option<u64>,
    /// `--immediate-checkpoint`
    pub immediate_checkpoint: bool,
    /// `--name`
    pub name: Option<String>,
    /// What is not heeded, as it was written.
    pub ignored: Vec<String>,
}

impl BackupOptions {
    /// Reads `--option=value` as well as `--option` followed by its value.
    #[must_use]
    pub fn read(arguments: &[String]) -> Self {
        let mut options = Self::default();
        let mut rest = arguments.iter().map(String::as_str).peekable();
        while let Some(argument) = rest.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None if argument == "--immediate-checkpoint" => (argument, None),
                None => (argument, rest.next_if(|next| !next.starts_with('-'))),
            };
            if options.set(name, value).is_none() {
                options.ignored.push(argument.to_owned());
            }
        }
        options
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Option<()> {
        match (name, value) {
            ("--immediate-checkpoint", None) => self.immediate_checkpoint = true,
            ("--name" | "-n", Some(name)) if !name.is_empty() => self.name = Some(name.to_owned()),
            ("--jobs" | "-J", Some(jobs)) => self.jobs = Some(jobs.parse().ok().filter(|jobs| *jobs > 0)?),
            ("--max-archive-size" | "-S", Some(size)) => self.max_archive_size = Some(bytes(size)?),
            ("--min-chunk-size", Some(size)) => self.min_chunk_size = Some(bytes(size)?),
            ("--max-bandwidth", Some(size)) => self.max_bandwidth = Some(bytes(size)?),
            _ => return None,
        }
        Some(())
    }
}

/// Bytes as barman reads them: `5MB` is decimal, `5MiB` binary, and a bare number is a number.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    let unit = unit.trim();
    let unit = unit.strip_suffix(['B', 'b']).unwrap_or(unit);
    let (letter, base) = unit.strip_suffix('i').map_or((unit, 1000_u64), |letter| (letter, 1024));
    let power = match letter {
        "" => 0,
        "k" | "K" => 1,
        "m" | "M" => 2,
        "g" | "G" => 3,
        "t" | "T" => 4,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(base.checked_pow(power)?).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> BackupOptions {
        BackupOptions::read(&arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn both_ways_to_write_an_option_are_read() {
        let expected = BackupOptions {
            jobs: Some(4),
            max_archive_size: Some(200_000_000_000),
            min_chunk_size: Some(16 << 20),
            max_bandwidth: Some(1_000_000),
            immediate_checkpoint: true,
            name: Some("before".to_owned()),
            ignored: Vec::new(),
        };
        assert_eq!(
            read(&[
                "--jobs=4",
                "--max-archive-size",
                "200GB",
                "--immediate-checkpoint",
                "--min-chunk-size=16MiB",
                "--max-bandwidth",
                "1000000",
                "--name=before"
            ]),
            expected
        );
    }

    #[test]
    fn what_means_nothing_here_or_nothing_at_all_is_named() {
        let options = read(&["--read-timeout=60", "--jobs", "many", "--tags", "a,b", "x", "--max-bandwidth=0"]);
        assert_eq!(options.ignored, ["--read-timeout=60", "--jobs", "--tags", "x", "--max-bandwidth=0"]);
        assert_eq!(BackupOptions { ignored: Vec::new(), ..options }, BackupOptions::default());
    }
}
