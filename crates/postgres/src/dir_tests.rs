//! A volume through its life.

use super::*;
use std::fs;

fn data_directory(path: &Path, mark: &str) {
    fs::create_dir_all(path.join("global")).unwrap();
    fs::write(path.join("PG_VERSION"), "15\n").unwrap();
    fs::write(path.join("global/pg_control"), format!("{mark:8192}")).unwrap();
}

fn volume() -> (tempfile::TempDir, Volume) {
    let dir = tempfile::tempdir().unwrap();
    let volume = Volume::of_pgdata(&dir.path().join("pgdata"));
    (dir, volume)
}

fn mark(path: &Path) -> String {
    fs::read_to_string(path.join("global/pg_control")).unwrap().trim_end().to_owned()
}

#[test]
fn a_fresh_volume_is_empty_even_with_lost_and_found() {
    let (dir, volume) = volume();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    let content = volume.inspect().unwrap();
    assert_eq!(content, VolumeContent { data: DataDirectory::Absent, unfinished: vec![], replaced: vec![] });
}

#[test]
fn a_directory_that_a_kubelet_opened_to_its_group_is_closed_again_and_no_other_is_touched() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, volume) = volume();
    assert!(!volume.close_to_others().unwrap(), "there is none");
    data_directory(volume.pgdata(), "a");
    data_directory(&volume.recovering(), "b");
    for path in [volume.pgdata().to_owned(), volume.recovering()] {
        // What `fsGroup` leaves of 0700; and what initdb makes with and without access for the group.
        for (before, after) in [(0o2770, 0o700), (0o755, 0o700), (0o700, 0o700), (0o750, 0o750)] {
            fs::set_permissions(volume.pgdata(), fs::Permissions::from_mode(0o700)).unwrap();
            fs::set_permissions(volume.recovering(), fs::Permissions::from_mode(0o700)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
            assert_eq!(volume.close_to_others().unwrap(), before != after);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, after);
        }
    }
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
fn a_second_clone_by_the_same_process_leaves_both_old_directories() {
    let (_dir, volume) = volume();
    data_directory(volume.pgdata(), "first");
    let nonce = Nonce::from("n");
    let clone = volume.partial_path(PartialKind::Join, &nonce);
    for mark in ["second", "third"] {
        data_directory(&clone, mark);
        volume.adopt(&clone, &Incarnation::from(mark), &nonce).unwrap();
    }
    let kept: Vec<String> = volume.inspect().unwrap().replaced.iter().map(|path| mark(path)).collect();
    assert_eq!((mark(volume.pgdata()), kept), ("third".into(), vec!["first".into(), "second".into()]));
}

#[test]
fn i7_a_clone_that_is_cut_off_at_any_step_of_its_adoption_leaves_a_whole_directory_in_place() {
    // The steps of `adopt`, each done by hand up to the one at which the process was killed.
    let nonce = Nonce::from("n");
    for steps in 0..=4 {
        let (_dir, volume) = volume();
        data_directory(volume.pgdata(), "old");
        volume.set_incarnation(&Incarnation::from("before")).unwrap();
        volume.mark_rewinding().unwrap();
        let clone = volume.partial_path(PartialKind::Join, &nonce);
        let old = volume.beside("old", &nonce);
        data_directory(&clone, "new");
        type Step<'a> = &'a dyn Fn();
        let adopt: [Step<'_>; 4] = [
            &|| volume.set_incarnation(&Incarnation::from("after")).unwrap(),
            &|| rename_durable(&clone, &old).unwrap(),
            &|| exchange_durable(&old, volume.pgdata()).unwrap(),
            &|| volume.clear_rewinding().unwrap(),
        ];
        adopt.iter().take(steps).for_each(|step| step());
        // The next manager: what is half-made goes, and what is served is either directory, whole.
        volume.remove_unfinished().unwrap();
        let content = volume.inspect().unwrap();
        let DataDirectory::Present { rewinding, incarnation, .. } = content.data else { panic!("{content:?}") };
        let served = mark(volume.pgdata());
        assert_eq!(served, if steps < 3 { "old" } else { "new" });
        assert_eq!(rewinding, steps < 4, "torn until all is done: at worst it is cloned once more");
        assert_eq!(incarnation, Some(Incarnation::from(if steps < 1 { "before" } else { "after" })));
        let kept: Vec<String> = content.replaced.iter().map(|path| mark(path)).collect();
        assert!(served == "old" || kept == ["old"], "{steps}: the old directory is gone: {kept:?}");
    }
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
fn a_directory_of_ours_without_a_whole_control_file_is_damaged() {
    let (_dir, volume) = volume();
    data_directory(volume.pgdata(), "ours");
    let control = volume.pgdata().join("global/pg_control");
    fs::remove_file(&control).unwrap();
    assert_eq!(volume.inspect().unwrap().data, DataDirectory::Foreign, "nothing says that it is ours");
    volume.set_incarnation(&Incarnation::from("i1")).unwrap();
    let DataDirectory::Damaged(why) = volume.inspect().unwrap().data else { panic!() };
    assert_eq!(why, "the control file global/pg_control is gone");
    fs::write(&control, "half").unwrap();
    let DataDirectory::Damaged(why) = volume.inspect().unwrap().data else { panic!() };
    assert_eq!(why, "the control file global/pg_control has 4 of 8192 bytes");
    data_directory(volume.pgdata(), "whole");
    assert!(matches!(volume.inspect().unwrap().data, DataDirectory::Present { .. }));
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
