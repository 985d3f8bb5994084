//! Which image of a catalog a cluster has (`spec.imageCatalogRef`).

use super::cluster;

/// A catalog has no image for the cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// None of that major.
    #[error("it has no image of PostgreSQL {wanted}, only of {has}: add one, or change spec.imageCatalogRef.major")]
    NoMajor {
        /// The major that is asked for.
        wanted: i32,
        /// Those that there are.
        has: String,
    },
    /// The tag says another.
    #[error("its image of PostgreSQL {wanted} is {image:?}, whose tag says PostgreSQL {found}: correct the catalog")]
    OtherMajor {
        /// The major that it stands for.
        wanted: i32,
        /// The image.
        image: String,
        /// What the tag says.
        found: u32,
    },
}

/// The image of a major, out of a catalog's. One whose tag is of another major would be started on the wrong data.
///
/// # Errors
/// [`CatalogError`].
pub fn image<'a>(major: i32, images: &[(i32, &'a str)]) -> Result<&'a str, CatalogError> {
    let Some((_, image)) = images.iter().find(|(of, _)| *of == major) else {
        let has = images.iter().map(|(of, _)| of.to_string()).collect::<Vec<_>>().join(", ");
        return Err(CatalogError::NoMajor { wanted: major, has });
    };
    match cluster::image_major(image) {
        Some(found) if i64::from(found) != i64::from(major) => {
            Err(CatalogError::OtherMajor { wanted: major, image: (*image).to_owned(), found })
        }
        _ => Ok(image),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGES: [(i32, &str); 3] = [(15, "pg:15.8"), (16, "pg:16.4@sha256:0"), (17, "pg:16.4")];

    #[test]
    fn a_cluster_has_the_image_of_its_major() {
        assert_eq!((image(15, &IMAGES), image(16, &IMAGES)), (Ok("pg:15.8"), Ok("pg:16.4@sha256:0")));
    }

    #[test]
    fn a_major_that_is_missing_is_named_with_those_that_there_are() {
        let error = image(18, &IMAGES).unwrap_err().to_string();
        assert!(error.contains("no image of PostgreSQL 18, only of 15, 16, 17"), "{error}");
    }

    #[test]
    fn an_image_of_another_major_is_not_started() {
        assert!(matches!(image(17, &IMAGES), Err(CatalogError::OtherMajor { found: 16, .. })));
    }
}
