//! WAL on its own volume: moved, found lost, swept, and never half anything.

use super::*;
use crate::dir::{DataDirectory, PartialKind};

struct Pair {
    _root: tempfile::TempDir,
    mount: PathBuf,
    /// Without the volume of WAL.
    alone: Volume,
    volume: Volume,
}

fn pair() -> Pair {
    let root = tempfile::tempdir().unwrap();
    let mount = root.path().join("wal");
    fs::create_dir(&mount).unwrap();
    fs::create_dir(root.path().join("data")).unwrap();
    let alone = Volume::of_pgdata(&root.path().join("data/pgdata"));
    let volume = alone.clone().with_wal(Some(mount.clone()));
    Pair { _root: root, mount, alone, volume }
}

fn database(directory: &Path, segment: &str) {
    fs::create_dir_all(directory.join("global")).unwrap();
    fs::create_dir_all(directory.join("pg_wal/archive_status")).unwrap();
    fs::write(directory.join("PG_VERSION"), "15\n").unwrap();
    fs::write(directory.join("global/pg_control"), [0; 8192]).unwrap();
    fs::write(directory.join("pg_wal/000000010000000000000001"), segment).unwrap();
    fs::write(directory.join("pg_wal/archive_status/000000010000000000000001.ready"), "").unwrap();
}

fn segment(directory: &Path) -> String {
    fs::read_to_string(directory.join("pg_wal/000000010000000000000001")).unwrap()
}

fn folders(mount: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(mount).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn anew() -> Incarnation {
    Incarnation::from("anew")
}

#[test]
fn wal_moves_to_a_volume_that_was_added_and_only_once() {
    let Pair { mount, alone, volume, .. } = &pair();
    database(volume.pgdata(), "w");
    assert_eq!(alone.settle_wal(&anew()).unwrap(), WalPlace::Here, "there is no volume for it");
    assert_eq!(volume.settle_wal(&anew()).unwrap(), WalPlace::Moved);
    assert_eq!(fs::read_link(volume.pgdata().join("pg_wal")).unwrap(), mount.join("pg_wal"));
    assert_eq!(segment(volume.pgdata()), "w");
    assert!(volume.pgdata().join("pg_wal/archive_status/000000010000000000000001.ready").exists());
    assert!(fs::symlink_metadata(volume.pgdata().join(MOVING)).is_err());
    assert_eq!(volume.settle_wal(&anew()).unwrap(), WalPlace::Here);
    assert_eq!(volume.incarnation().unwrap(), None, "it is the same data directory");
}

#[test]
fn a_move_that_was_cut_off_anywhere_is_made_again_and_loses_nothing() {
    // Linked and half copied; whole and not exchanged; exchanged and not removed.
    for stage in ["half", "whole", "exchanged"] {
        let Pair { mount, volume, .. } = &pair();
        database(volume.pgdata(), "w");
        let (pg_wal, moving) = (volume.pgdata().join(PG_WAL), volume.pgdata().join(MOVING));
        fs::create_dir(mount.join("pg_wal")).unwrap();
        symlink(mount.join("pg_wal"), &moving).unwrap();
        fs::write(mount.join("pg_wal/000000010000000000000001"), "half").unwrap();
        if stage != "half" {
            copy_all(&pg_wal, &mount.join("pg_wal")).unwrap();
        }
        if stage == "exchanged" {
            exchange_durable(&moving, &pg_wal).unwrap();
        }
        volume.settle_wal(&anew()).unwrap();
        assert_eq!(segment(volume.pgdata()), "w", "{stage}");
        assert_eq!(folders(mount), ["pg_wal"], "{stage}");
        assert!(fs::symlink_metadata(&moving).is_err(), "{stage}");
    }
}

#[test]
fn a_data_directory_whose_wal_volume_is_another_one_is_only_to_be_cloned_under_a_new_name() {
    let Pair { mount, volume, .. } = &pair();
    database(volume.pgdata(), "w");
    volume.set_incarnation(&Incarnation::from("old")).unwrap();
    volume.settle_wal(&anew()).unwrap();
    fs::rename(mount.join("pg_wal"), mount.with_file_name("detached")).unwrap();
    assert_eq!(volume.settle_wal(&anew()).unwrap(), WalPlace::Lost);
    let DataDirectory::Present { rewinding, incarnation, .. } = volume.inspect().unwrap().data else { panic!() };
    assert_eq!((rewinding, incarnation), (true, Some(anew())));
    assert!(volume.pgdata().join("pg_wal/archive_status").is_dir(), "it can be looked into");
    assert_eq!(volume.settle_wal(&Incarnation::from("other")).unwrap(), WalPlace::Here);
    assert_eq!(volume.incarnation().unwrap(), Some(anew()));
    // The old one was only away.
    fs::remove_dir_all(mount.join("pg_wal")).unwrap();
    fs::rename(mount.with_file_name("detached"), mount.join("pg_wal")).unwrap();
    assert_eq!(volume.settle_wal(&Incarnation::from("other")).unwrap(), WalPlace::Back);
    let DataDirectory::Present { rewinding, incarnation, .. } = volume.inspect().unwrap().data else { panic!() };
    assert_eq!((rewinding, incarnation), (false, Some(anew())));
}

#[test]
fn a_volume_that_is_not_mounted_is_not_taken_for_one_that_was_lost() {
    let Pair { mount, alone, volume, .. } = &pair();
    database(volume.pgdata(), "w");
    volume.settle_wal(&anew()).unwrap();
    fs::rename(mount, mount.with_file_name("elsewhere")).unwrap();
    for seen in [alone, volume] {
        assert!(matches!(seen.settle_wal(&anew()), Err(DirError::NotMounted { .. })));
    }
    fs::rename(mount.with_file_name("elsewhere"), mount).unwrap();
    assert_eq!(alone.settle_wal(&anew()).unwrap(), WalPlace::Here, "a person's link stays what it is");
    assert_eq!(volume.incarnation().unwrap(), None);
}

#[test]
fn a_clone_has_its_wal_beside_that_of_what_it_replaces_which_goes_with_it() {
    let Pair { mount, volume, .. } = &pair();
    database(volume.pgdata(), "old");
    volume.settle_wal(&anew()).unwrap();
    fs::create_dir(mount.join("lost+found")).unwrap();
    let nonce = Nonce::from("n");
    let clone = volume.partial_path(PartialKind::Join, &nonce);
    database(&clone, "new");
    let old = volume.adopt(&clone, &anew(), &nonce).unwrap().unwrap();
    assert_eq!((segment(volume.pgdata()).as_str(), segment(&old).as_str()), ("new", "old"));
    assert_eq!(folders(mount), ["lost+found", "pg_wal", "pg_wal.moved-1"]);
    volume.remove_replaced().unwrap();
    assert_eq!(segment(volume.pgdata()), "new");
    assert_eq!(folders(mount), ["lost+found", "pg_wal.moved-1"]);
}

#[test]
fn what_was_left_half_made_goes_with_its_wal_and_a_recovery_has_its_own() {
    let Pair { mount, volume, .. } = &pair();
    let nonce = Nonce::from("n");
    let partial = volume.partial_path(PartialKind::Join, &nonce);
    database(&partial, "half");
    volume.wal_to_volume(&partial).unwrap();
    assert_eq!(folders(mount), ["pg_wal"]);
    volume.remove_unfinished().unwrap();
    assert!(folders(mount).is_empty());
    let restored = volume.partial_path(PartialKind::Restore, &nonce);
    database(&restored, "replays");
    volume.begin_recovery(&restored, "purpose").unwrap();
    assert_eq!(fs::read_link(volume.recovering().join("pg_wal")).unwrap(), mount.join("pg_wal"));
    fs::remove_dir_all(mount.join("pg_wal")).unwrap();
    volume.settle_wal(&anew()).unwrap();
    assert!(!volume.recovering().exists(), "a recovery that has lost its WAL is begun again");
    assert_eq!(volume.incarnation().unwrap(), None);
}
