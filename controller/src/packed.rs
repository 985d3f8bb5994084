//! How a watched object is kept: as JSON, deflated against another one of its kind, since those are much alike. As
//! structures, a pod takes fifty times the memory, and most of a thousand clusters are looked at a few times an hour.

use flate2::{Compress, CompressError, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::sync::Arc;

/// What deflate looks back at; more of an example is of no use.
const WINDOW: usize = 32 << 10;

/// Packs objects of one kind.
#[derive(Default)]
pub struct Packer {
    /// An example: the largest so far has most of what another one may have.
    like: Arc<[u8]>,
}

/// One object.
pub enum Packed<K> {
    /// So many bytes of JSON, deflated, and what they were deflated against.
    Small(u32, Box<[u8]>, Arc<[u8]>, PhantomData<fn() -> K>),
    /// One that would not come out as it went in.
    Whole(Arc<K>),
}

#[derive(Debug, thiserror::Error)]
enum PackError {
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("not deflated: {0}")]
    Deflate(#[from] CompressError),
    #[error("not inflated: {0}")]
    Inflate(#[from] flate2::DecompressError),
    #[error("of another size than expected")]
    Size,
}

impl Packer {
    /// Packs it, if it can be unpacked again: nothing that there is may be taken for gone.
    pub fn pack<K: Serialize + DeserializeOwned>(&mut self, object: K) -> Packed<K> {
        match self.small(&object) {
            Ok(small) if small.unpacked().is_ok() => small,
            _ => Packed::Whole(Arc::new(object)),
        }
    }

    fn small<K: Serialize>(&mut self, object: &K) -> Result<Packed<K>, PackError> {
        let json = serde_json::to_vec(object)?;
        let size = u32::try_from(json.len()).map_err(|_| PackError::Size)?;
        let mut deflated = Vec::with_capacity(json.len() + json.len() / 8 + 64);
        let mut deflate = Compress::new(Compression::default(), false);
        if !self.like.is_empty() {
            deflate.set_dictionary(&self.like)?;
        }
        match deflate.compress_vec(&json, &mut deflated, FlushCompress::Finish)? {
            Status::StreamEnd => {}
            Status::Ok | Status::BufError => return Err(PackError::Size),
        }
        let packed = Packed::Small(size, deflated.into_boxed_slice(), self.like.clone(), PhantomData);
        // A quarter more: each example is kept for as long as something was packed against it.
        if json.len() > self.like.len() + self.like.len() / 4 && json.len() <= WINDOW {
            self.like = json.into();
        }
        Ok(packed)
    }
}

impl<K: DeserializeOwned> Packed<K> {
    /// The object. There is none only if memory is broken: what was packed has been unpacked once.
    #[must_use]
    pub fn get(&self) -> Option<Arc<K>> {
        let unpacked = self.unpacked();
        unpacked.inspect_err(|error| tracing::error!(%error, "what was packed cannot be unpacked: restart me")).ok()
    }

    fn unpacked(&self) -> Result<Arc<K>, PackError> {
        let (size, bytes, like) = match self {
            Self::Whole(object) => return Ok(object.clone()),
            Self::Small(size, bytes, like, _) => (usize::try_from(*size).map_err(|_| PackError::Size)?, bytes, like),
        };
        let mut json = Vec::with_capacity(size);
        let mut inflate = Decompress::new(false);
        if !like.is_empty() {
            inflate.set_dictionary(like)?;
        }
        match inflate.decompress_vec(bytes, &mut json, FlushDecompress::Finish)? {
            Status::StreamEnd if json.len() == size => Ok(Arc::new(serde_json::from_slice(&json)?)),
            Status::StreamEnd | Status::Ok | Status::BufError => Err(PackError::Size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use k8s_openapi::api::core::v1::Secret;
    use pgherd_proto::cluster::Cluster;
    use serde::Deserialize;
    use serde_json::{Value, json};

    fn size<K>(packed: &Packed<K>) -> usize {
        match packed {
            Packed::Small(_, bytes, ..) => bytes.len(),
            Packed::Whole(_) => panic!("it is packed"),
        }
    }

    #[test]
    fn what_is_packed_comes_out_as_it_went_in() {
        let cluster: Cluster = serde_yaml_ng::from_str(include_str!("../../docs/examples/cluster.yaml")).unwrap();
        let data = [("key".to_owned(), ByteString((0..=255).collect()))];
        let secret = Secret { data: Some(data.into_iter().collect()), ..Secret::default() };
        let text = |cluster: &Cluster| serde_json::to_value(cluster).unwrap();
        let (mut clusters, mut secrets) = (Packer::default(), Packer::default());
        for _ in 0..3 {
            assert_eq!(text(&clusters.pack(cluster.clone()).get().unwrap()), text(&cluster));
            assert_eq!(*secrets.pack(secret.clone()).get().unwrap(), secret);
        }
        assert_eq!(*secrets.pack(Secret::default()).get().unwrap(), Secret::default());
    }

    #[test]
    fn one_that_is_like_another_takes_a_fraction_whichever_came_first() {
        let one = |name: &str, fields: u64| {
            let number = |field: u64| format!("{:x}", field.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let fields: Vec<String> = (0..fields).map(number).collect();
            json!({ "name": name, "fields": fields })
        };
        let mut packer = Packer::default();
        let (few, many) = (packer.pack(one("a", 3)), packer.pack(one("b", 300)));
        let (again, other) = (packer.pack(one("c", 300)), packer.pack(one("d", 2)));
        assert!(size(&again) * 10 < size(&many), "{} of {}", size(&again), size(&many));
        let got = |packed: &Packed<Value>| packed.get().unwrap();
        let expected = [one("a", 3), one("b", 300), one("c", 300), one("d", 2)];
        assert_eq!([few, many, again, other].map(|packed| (*got(&packed)).clone()), expected);
    }

    #[test]
    fn what_is_larger_than_what_deflate_looks_back_at_is_packed_too() {
        let large = |text: &str| Value::String(text.repeat(20_000));
        let mut packer = Packer::default();
        for text in ["one, ", "and another", "x"] {
            assert_eq!(*packer.pack(large(text)).get().unwrap(), large(text));
        }
    }

    /// A field that is written and not read.
    #[derive(Serialize, Deserialize)]
    struct Odd {
        #[serde(skip_serializing)]
        needed: String,
    }

    #[test]
    fn what_would_not_come_out_again_is_kept_whole() {
        let packed = Packer::default().pack(Odd { needed: "yes".into() });
        assert!(matches!(packed, Packed::Whole(_)));
        assert_eq!(packed.get().unwrap().needed, "yes");
    }
}
