//! A volume through its life.

use super::*;
use std::fs;

fn data_directory(path: &Path, mark: &str) {
    fs::create_dir_all(path.join("global")).unwrap();
    fs::write(path.join("PG_VERSION"), "15\n").unwrap();
    fs::write(path.join("global/pg_control"), mark).unwrap();
}

fn volume() -> (tempfile::TempDir, Volume) {
    let dir = tempfile::tempdir().unwrap();
    let volume = Volume::of_pgdata(&dir.path().join("pgdata"));
    (dir, volume)
}

fn mark(path: &Path) -> String {
    fs::read_to_string(path.join("global/pg_control")).unwrap()
}

#[test]
fn a_fresh_volume_is_empty_even_with_lost_and_found() {
    let (dir, volume) = volume();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    let content = volume.inspect().unwrap();
    assert_eq!(content, VolumeContent { data: DataDirectory::Absent, unfinished: vec![], replaced: vec![] });
}

#[test]
fn a_half_made_directory_is_recognised_and_swept_and_never_served() {
    let (_dir, volume) = volume();
    let partial = volume.partial_path(PartialKind::Join, &Nonce::from("n1"));
    data_directory(&partial, "half");
    let content = volume.inspect().unwrap();
    assert_eq!(content.data, DataDirectory::Absent);
    assert_eq!(content.unfinished, [Unfinished { kind: PartialKind::Join, path: partial.clone() }]);
    volume.remove_unfinished().unwrap();
    assert!(!partial.exists());
}

#[test]
fn a_clone_takes_the_place_of_the_old_data_which_is_kept_until_told() {
    let (_dir, volume) = volume();
    data_directory(volume.pgdata(), "old");
    volume.mark_rewinding().unwrap();
    let clone = volume.partial_path(PartialKind::Join, &Nonce::from("n2"));
    data_directory(&clone, "new");
    let old = volume.adopt(&clone, &Incarnation::from("i2"), &Nonce::from("n2")).unwrap().unwrap();
    assert_eq!((mark(volume.pgdata()), mark(&old)), ("new".into(), "old".into()));
    let content = volume.inspect().unwrap();
    assert_eq!(content.replaced, std::slice::from_ref(&old));
    assert!(matches!(
        content.data,
        DataDirectory::Present { rewinding: false, incarnation: Some(Incarnation(ref id)), .. } if id == "i2"
    ));
    volume.remove_unfinished().unwrap();
    assert!(old.exists());
    volume.remove_replaced().unwrap();
    assert!(!old.exists());
}

#[test]
fn a_directory_of_somebody_else_is_neither_data_nor_nothing() {
    let (_dir, volume) = volume();
    fs::create_dir(volume.pgdata()).unwrap();
    assert_eq!(volume.inspect().unwrap().data, DataDirectory::Absent);
    fs::write(volume.pgdata().join("photo.jpg"), "").unwrap();
    assert_eq!(volume.inspect().unwrap().data, DataDirectory::Foreign);
}

#[test]
fn promised_terms_only_rise_and_a_damaged_promise_is_not_guessed() {
    let (dir, volume) = volume();
    assert_eq!(volume.fence().unwrap(), Term(0));
    assert_eq!(volume.raise_fence(Term(7)).unwrap(), Term(7));
    assert_eq!(volume.raise_fence(Term(3)).unwrap(), Term(7));
    assert_eq!((volume.fence().unwrap(), volume.max_term().unwrap()), (Term(7), Term(0)));
    fs::write(dir.path().join("pgherd/fence"), "seven").unwrap();
    assert!(matches!(volume.raise_fence(Term(9)), Err(DirError::Damaged { .. })));
}
