//! Where a real S3 is: `http://HOST[:PORT]`. The switch before S3 works on connections and has to see what goes through
//! them, so that it speaks no TLS; what asks for it is refused instead of being spoken to in plain text.

/// The endpoint is not usable. It is not repeated in the message: a user and a password could be in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// TLS is asked for.
    #[error(
        "--s3-endpoint asks for {0}, and this test bed only speaks plain HTTP to S3: give http://HOST:PORT of a store near \
         by, or of a proxy on this machine that speaks TLS to it"
    )]
    Scheme(String),
    /// More or less than a host and a port.
    #[error("--s3-endpoint is not of the form http://HOST:PORT (without user, path and query)")]
    Form,
}

/// The `HOST:PORT` of an endpoint; without a port it is that of HTTP.
///
/// # Errors
/// If it is not reached by plain HTTP, or there is more to it than a host and a port.
pub(super) fn target(endpoint: &str) -> Result<String, EndpointError> {
    let rest = match endpoint.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some((scheme, _)) => return Err(EndpointError::Scheme(scheme.to_owned())),
        None => endpoint,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(|c: char| matches!(c, '/' | '@' | '?' | '#') || c.is_whitespace()) {
        return Err(EndpointError::Form);
    }
    // The colons of an IPv6 address are between brackets.
    let port = rest.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    match port {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(rest.to_owned()),
        None if !rest.is_empty() => Ok(format!("{rest}:80")),
        _ => Err(EndpointError::Form),
    }
}

#[cfg(test)]
mod tests {
    use super::{EndpointError, target};

    #[test]
    fn an_endpoint_over_tls_is_refused_and_never_spoken_to_in_plain_text() {
        for (endpoint, scheme) in [("https://s3.example.com", "https"), ("HTTPS://h:443/", "HTTPS"), ("s3://b", "s3")] {
            let error = target(endpoint).unwrap_err();
            assert_eq!(error, EndpointError::Scheme(scheme.to_owned()), "{endpoint}");
            assert!(error.to_string().contains("only speaks plain HTTP"), "{error}");
        }
    }

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        for (endpoint, wanted) in [
            ("http://127.0.0.1:9000", "127.0.0.1:9000"),
            ("HTTP://minio:9000/", "minio:9000"),
            ("minio:9000", "minio:9000"),
            ("http://minio", "minio:80"),
            ("http://[::1]:9000", "[::1]:9000"),
            ("http://[::1]", "[::1]:80"),
        ] {
            assert_eq!(target(endpoint).as_deref(), Ok(wanted), "{endpoint}");
        }
        for endpoint in
            ["", "http://", "http://:9000", "http://h:x", "http://h:9000/bucket", "http://u:p@h:9000", "h h:1"]
        {
            let error = target(endpoint).unwrap_err();
            assert_eq!(error, EndpointError::Form, "{endpoint}");
            assert!(!error.to_string().contains("u:p"), "a password is not repeated");
        }
    }
}
