//! Measures every level of libdeflate on a folder of WAL segments: MB/s of WAL on one core, and the ratio. What
//! [0016](../../../docs/adr/0016-fast-gzip.md) goes by.
//!
//! `levels FOLDER [LEVEL...]`; without levels, 1 to 9.
#![allow(clippy::expect_used, clippy::cast_precision_loss)]

use libdeflater::{CompressionLvl, Compressor};
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("a folder of WAL segments");
    let given: Vec<i32> = arguments.map(|level| level.parse().expect("a level")).collect();
    let levels = if given.is_empty() { (1..=9).collect() } else { given };
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("the folder").flatten().map(|file| file.path()).collect();
    files.sort();
    let segments: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).expect("a segment")).collect();
    let all: usize = segments.iter().map(Vec::len).sum();
    for level in levels {
        let mut compressor = Compressor::new(CompressionLvl::new(level).expect("a level that there is"));
        let mut out = vec![0; segments.iter().map(|one| compressor.gzip_compress_bound(one.len())).max().unwrap_or(0)];
        let mut stored = 0;
        let began = Instant::now();
        for segment in &segments {
            stored += compressor.gzip_compress(segment, &mut out).expect("compressed");
        }
        let took = began.elapsed().as_secs_f64();
        let (speed, ratio) = (all as f64 / 1e6 / took, all as f64 / stored as f64);
        println!("level {level}: {speed:.1} MB/s, ratio {ratio:.3}");
    }
}
