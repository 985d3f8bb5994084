//! What the cluster's archive holds, read from S3 as any other program would.

use std::io::Read;

use crate::bed::{Bed, CLUSTER};

const SEGMENT: usize = 16 * 1024 * 1024;

impl Bed {
    /// The names of the files in the archive, without their suffixes.
    pub async fn archived(&self) -> Vec<String> {
        // The embedded store's list fails where an object of it is just being put into its place.
        let files = self
            .until("a list of the archive", 10, async || {
                self.archived_files().await.map_err(|error| format!("{error:#}"))
            })
            .await;
        files.iter().map(|file| file.trim_end_matches(".gz").to_owned()).collect()
    }

    /// Ends the segment at hand, waits until it is in the archive, and answers its name.
    pub async fn archive_now(&self, primary: &str, seconds: u64) -> String {
        // In one statement, so that the name is that of the segment which the switch ends.
        let name = self.ask(primary, "SELECT pg_walfile_name(pg_switch_wal())").await.unwrap();
        self.until(&format!("{name} in S3"), seconds, async || match self.archived().await {
            all if all.contains(&name) => Ok(()),
            all => Err(format!("{} files, the last is {:?}", all.len(), all.last())),
        })
        .await;
        self.say(&format!("{name} is in S3"));
        name
    }

    /// A segment lies where barman looks for it, and gunzip makes sixteen MiB of it.
    pub async fn is_barmans(&self, name: &str) {
        let path = format!("s3/phoenix-guardian-backups/db/{CLUSTER}/wals/{}/{name}.gz", &name[..16]);
        let file = std::fs::File::open(self.directory.join(&path)).expect(&path);
        let mut content = Vec::new();
        flate2::read::GzDecoder::new(file).read_to_end(&mut content).unwrap();
        assert_eq!(content.len(), SEGMENT, "{path}");
    }
}
