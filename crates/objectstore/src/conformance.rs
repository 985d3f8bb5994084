//! What every store has to do alike. Run by the tests of each implementation, and against real stores.

use crate::{LEAST_PART, ObjectStore, Put, PutOptions, StoreError, Upload, list_all};
use bytes::Bytes;

/// One promise that the store did not keep.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// A call that had to work did not.
    #[error("failed to carry out {step}")]
    Call {
        /// What was being checked.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: StoreError,
    },
    /// The call worked, with the wrong result.
    #[error("failed to see what was promised at {step}: {seen}")]
    Result {
        /// What was being checked.
        step: &'static str,
        /// What was seen instead.
        seen: String,
    },
}

fn check(step: &'static str, holds: bool, seen: impl std::fmt::Debug) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::Result { step, seen: format!("{seen:?}") }) }
}

fn ok<T>(step: &'static str, result: Result<T, StoreError>) -> Result<T, Broken> {
    result.map_err(|source| Broken::Call { step, source })
}

/// Runs the whole suite below `root`, which has to be empty before and is empty afterwards.
pub async fn run(store: &dyn ObjectStore, root: &str) -> Result<(), Broken> {
    create_only(store, root).await?;
    missing(store, root).await?;
    bounded(store, root).await?;
    parts(store, root).await?;
    listing(store, root).await?;
    bulk(store, root).await?;
    one_creator(store, root).await?;
    in_parts(store, root).await?;
    for object in ok("list to clean up", list_all(store, root).await)? {
        ok("delete", store.delete(&object.key).await)?;
    }
    let left = ok("list after deleting", list_all(store, root).await)?;
    check("everything deleted", left.is_empty(), left)
}

async fn create_only(store: &dyn ObjectStore, root: &str) -> Result<(), Broken> {
    let key = format!("{root}/wals/0000000100000000/000000010000000000000001.gz");
    let options = PutOptions {
        content_type: Some("application/x-gzip".to_owned()),
        tags: vec![("kind".to_owned(), "wal & more".to_owned())],
    };
    let plain = PutOptions::default();
    let first = ok("put", store.put_new(&key, Bytes::from_static(b"first"), &options).await)?;
    check("a new key is created", first == Put::Created, first)?;
    let second = ok("put again", store.put_new(&key, Bytes::from_static(b"second"), &plain).await)?;
    check("a taken key is not created", second == Put::Exists, second)?;
    let body = ok("get", store.get(&key, 100).await)?;
    check("the first content stays", body.as_ref() == b"first", body)?;
    let head = ok("head", store.head(&key).await)?;
    check("head tells the size", head.size == 5 && head.key == key, &head)?;
    let empty = format!("{root}/empty");
    ok("put an empty object", store.put_new(&empty, Bytes::new(), &plain).await)?;
    let body = ok("get an empty object", store.get(&empty, 0).await)?;
    check("an empty object is empty", body.is_empty(), body)?;
    let other = ok("head of another content", store.head(&empty).await)?;
    check("another content has another tag, if any", head.tag.is_none() || head.tag != other.tag, (head, other))
}

async fn missing(store: &dyn ObjectStore, root: &str) -> Result<(), Broken> {
    let key = format!("{root}/none");
    let got = store.get(&key, 100).await;
    check("a missing object is proven missing by get", matches!(got, Err(StoreError::NotFound { .. })), got)?;
    let got = store.head(&key).await;
    check("a missing object is proven missing by head", matches!(got, Err(StoreError::NotFound { .. })), got)?;
    ok("delete what is not there", store.delete(&key).await)?;
    let page = ok("list nothing", store.list(&key, Some("/"), None).await)?;
    check("an empty listing", page.objects.is_empty() && page.prefixes.is_empty() && page.next.is_none(), page)
}

async fn bounded(store: &dyn ObjectStore, root: &str) -> Result<(), Broken> {
    let key = format!("{root}/large");
    let body = Bytes::from(vec![7_u8; 3 << 20]);
    ok("put 3 MiB", store.put_new(&key, body.clone(), &PutOptions::default()).await)?;
    let got = store.get(&key, 1 << 20).await;
    check("more than the limit is refused", matches!(got, Err(StoreError::TooLarge { .. })), got.is_ok())?;
    let got = ok("get 3 MiB", store.get(&key, 3 << 20).await)?;
    check("the content comes back", got == body, got.len())
}

async fn parts(store: &dyn ObjectStore, root: &str) -> Result<(), Broken> {
    let key = format!("{root}/parts");
    let body: Bytes = (0..2_u32 << 20).map(|n| n.to_le_bytes()[1]).collect();
    ok("put 2 MiB", store.put_new(&key, body.clone(), &PutOptions::default()).await)?;
    let mut whole = Vec::new();
    for (from, length) in [(0, 1), (1, 1 << 20), ((1 << 20) + 1, (1 << 20) - 1)] {
        whole.extend(ok("get a part", store.get_range(&key, from, length).await)?);
    }
    check("the parts are the whole", body == whole, whole.len())?;
    for (from, length) in [((2 << 20) - 1, 2), (2 << 20, 1), (9 << 20, 1)] {
        let got = store.get_range(&key, from, length).await;
        check("a part beyond the end is refused", got.is_err(), (from, length))?;
    }
    let got = store.get_range(&format!("{root}/none"), 0, 1).await;
    check("a part of a missing object is proven missing", matches!(got, Err(StoreError::NotFound { .. })), got)
}

async fn bulk(store: &dyn ObjectStore, root: &str) -> Result<(), Broken> {
    let under = format!("{root}/bulk/");
    let keys: Vec<String> = (0..120).map(|number| format!("{under}{number:04} & more")).collect();
    for key in &keys {
        ok("put to delete", store.put_new(key, Bytes::new(), &PutOptions::default()).await)?;
    }
    let (last, others) = keys.split_last().map_or((None, [].as_slice()), |(last, others)| (Some(last), others));
    let gone: Vec<String> = others.iter().cloned().chain([format!("{under}none")]).collect();
    ok("delete many, and one that is not there", store.delete_many(&gone).await)?;
    let left = ok("list what is left", list_all(store, &under).await)?;
    check("the others stay", left.len() == 1 && left.first().map(|o| &o.key) == last, left)?;
    ok("delete none", store.delete_many(&[]).await)
}

async fn listing(store: &dyn ObjectStore, root: &str) -> Result<(), Broken> {
    let under = format!("{root}/list");
    for number in 0..130 {
        let key = format!("{under}/a/{number:04}");
        ok("put many", store.put_new(&key, Bytes::from_static(b"x"), &PutOptions::default()).await)?;
    }
    for name in ["b/1", "b/2", "c"] {
        ok("put few", store.put_new(&format!("{under}/{name}"), Bytes::new(), &PutOptions::default()).await)?;
    }
    let all = ok("list all", list_all(store, &format!("{under}/a/")).await)?;
    check("every object is listed once", all.len() == 130, all.len())?;
    check("in order", all.is_sorted_by(|a, b| a.key < b.key), "out of order")?;
    let page = ok("list with a delimiter", store.list(&format!("{under}/"), Some("/"), None).await)?;
    let folders = [format!("{under}/a/"), format!("{under}/b/")];
    let objects: Vec<_> = page.objects.iter().map(|o| o.key.as_str()).collect();
    check("folders are folded", page.prefixes == folders, &page.prefixes)?;
    check("files stay", objects == [format!("{under}/c")], &objects)?;
    let page = ok("list by the start of a name", store.list(&format!("{under}/b/1"), None, None).await)?;
    check("a prefix need not end at a slash", page.objects.len() == 1, page)
}

async fn one_creator(store: &dyn ObjectStore, root: &str) -> Result<(), Broken> {
    let key = format!("{root}/race");
    let options = PutOptions::default();
    let tries = (0_u8..8).map(|n| store.put_new(&key, Bytes::from(vec![n; 4096]), &options));
    let mut created = Vec::new();
    for (number, result) in futures::future::join_all(tries).await.into_iter().enumerate() {
        if ok("put in a race", result)? == Put::Created {
            created.push(number);
        }
    }
    check("one of many creators wins", created.len() == 1, &created)?;
    let body = ok("get after a race", store.get(&key, 4096).await)?;
    let winner = created.first().copied();
    check("and its content is what is stored", body.first().map(|b| usize::from(*b)) == winner, winner)
}

async fn in_parts(store: &dyn ObjectStore, root: &str) -> Result<(), Broken> {
    let key = format!("{root}/base/20261123T202108/data.tar.gz");
    let options = PutOptions { content_type: Some("application/gzip".to_owned()), tags: Vec::new() };
    let upload = ok("begin an upload", store.begin_upload(&key, &options).await)?;
    let large = Bytes::from(vec![7_u8; LEAST_PART]);
    // Out of order, and one of them twice, as after an answer that was lost.
    let last = ok("put the last part", store.put_part(&upload, 2, Bytes::from_static(b"end")).await)?;
    ok("put a part", store.put_part(&upload, 1, Bytes::from(vec![1_u8; LEAST_PART])).await)?;
    let first = ok("put a part again", store.put_part(&upload, 1, large.clone()).await)?;
    let early = store.head(&key).await;
    check("nothing is there before its end", matches!(early, Err(StoreError::NotFound { .. })), early)?;
    let open = listed(store, &upload).await?;
    check("an open upload is listed, where a store can tell", open != Some(false), open)?;
    let made = ok("complete an upload", store.complete_upload(&upload, &[first, last]).await)?;
    check("the parts become an object", made == Put::Created, made)?;
    let whole = ok("get what was put in parts", store.get(&key, 6 << 20).await)?;
    check("in the order of their numbers", whole.len() == LEAST_PART + 3 && whole.ends_with(b"\x07end"), whole.len())?;
    check("a part put twice is the later one", whole.starts_with(&large), whole.first())?;
    let again = store.complete_upload(&upload, &["x".to_owned()]).await;
    check("a finished upload makes nothing new", !matches!(again, Ok(Put::Created)), &again)?;

    let second = ok("begin an upload to a taken key", store.begin_upload(&key, &options).await)?;
    let part = ok("put a part of it", store.put_part(&second, 1, Bytes::from_static(b"other")).await)?;
    let taken = ok("complete it", store.complete_upload(&second, &[part]).await)?;
    check("a taken key is not replaced", taken == Put::Exists, taken)?;
    ok("abort an upload", store.abort_upload(&second).await)?;
    let open = listed(store, &second).await?;
    check("an aborted upload is gone", open != Some(true), open)?;
    let late = store.put_part(&second, 2, Bytes::from_static(b"late")).await;
    check("and takes no parts", late.is_err(), late)?;
    let still = ok("get what was there", store.get(&key, 6 << 20).await)?;
    check("what was there stays", still.len() == LEAST_PART + 3, still.len())
}

/// Whether it is among the open uploads; nothing where the store cannot tell.
async fn listed(store: &dyn ObjectStore, upload: &Upload) -> Result<Option<bool>, Broken> {
    match store.list_uploads(&upload.key).await {
        Ok(open) => Ok(Some(open.iter().any(|one| (&one.key, &one.id) == (&upload.key, &upload.id)))),
        Err(StoreError::Rejected { .. }) => Ok(None),
        Err(source) => Err(Broken::Call { step: "list the uploads", source }),
    }
}
