//! Encryption of connections, the same for every kind of target: by rustls with ring.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Whether and how a connection is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Whom to believe.
    pub mode: Tls,
    /// Certificates to trust, PEM: of authorities, or the server's own. Those of the system if absent.
    pub ca_file: Option<PathBuf>,
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// As the url says; where it does not, `Off` on loopback and unix sockets, `Verify` elsewhere.
    #[default]
    Auto,
    /// In the clear.
    Off,
    /// Encrypted, with a certificate for the host's name from somebody trusted.
    Verify,
    /// Encrypted, whoever answers.
    UnsafeNoVerify,
}

impl TlsSettings {
    /// Whether the file can be read and has certificates; otherwise a sentence that says why not.
    pub fn check(&self) -> Result<(), String> {
        self.ca_file.as_deref().map_or(Ok(()), |file| certificates_of(file).map(drop))
    }

    /// The same for a target whose url says by its scheme whether the connection is encrypted.
    pub(crate) fn check_scheme(&self, is_encrypted: bool, encrypted_scheme: &str) -> Result<(), String> {
        match self.mode {
            Tls::Off if is_encrypted => Err(format!("tls is off, and url begins with {encrypted_scheme}://")),
            Tls::Verify | Tls::UnsafeNoVerify if !is_encrypted => {
                Err(format!("url must begin with {encrypted_scheme}:// for this value of tls"))
            }
            _ if self.ca_file.is_some() && !is_encrypted => {
                Err(format!("tls_ca_file needs a url that begins with {encrypted_scheme}://"))
            }
            _ => self.check(),
        }
    }

    /// What connections are encrypted with.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions");
        let trust = match (self.mode, &self.ca_file) {
            (Tls::UnsafeNoVerify, _) => Trust::Everybody,
            (_, Some(file)) => Trust::in_certificates(certificates_of(file)?, &provider)?,
            (_, None) => Trust::in_certificates(certificates_of_system()?, &provider)?,
        };
        let verifier = Arc::new(Verifier { provider, trust });
        Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
    }
}

fn certificates_of(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(file).map_err(|error| format!("read tls_ca_file: {error}"))?;
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| format!("read tls_ca_file: {error}"))?;
    if certificates.is_empty() { Err("tls_ca_file has no certificate".to_owned()) } else { Ok(certificates) }
}

fn certificates_of_system() -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = rustls_native_certs::load_native_certs().certs;
    if certificates.is_empty() {
        return Err("the system has no certificates to trust; set tls_ca_file".to_owned());
    }
    Ok(certificates)
}

/// Who is believed.
#[derive(Debug)]
enum Trust {
    Everybody,
    /// Whoever these authorities vouch for, and whoever shows one of these very certificates and can sign with its key.
    Certificates {
        authorities: Option<Arc<WebPkiServerVerifier>>,
        own: Vec<CertificateDer<'static>>,
    },
}

impl Trust {
    fn in_certificates(
        certificates: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(certificates.iter().cloned());
        let authorities = (added > 0).then(|| {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()
        });
        let authorities = authorities.transpose().map_err(|error| format!("read tls_ca_file: {error}"))?;
        Ok(Self::Certificates { authorities, own: certificates })
    }
}

/// Checks who answers as [`Trust`] says, and in any case that they have the key of what they show.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    trust: Trust,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.trust {
            Trust::Everybody => Ok(ServerCertVerified::assertion()),
            Trust::Certificates { own, .. } if own.contains(end_entity) => {
                Ok(ServerCertVerified::assertion())
            }
            Trust::Certificates { authorities: Some(authorities), .. } => {
                authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            Trust::Certificates { authorities: None, .. } => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What an error of a client says about encryption, with what can be done; nothing if it is about something else.
pub(crate) fn cause(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<Error>() {
            return Some(words(tls));
        }
        // An I/O error hides what it wraps from its own chain.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn words(error: &Error) -> String {
    let Error::InvalidCertificate(reason) = error else {
        let hint = match error {
            Error::InvalidMessage(_) => "; does the port speak TLS?",
            Error::AlertReceived(_) => "; the server wants other versions, or a certificate of the client",
            _ => "",
        };
        return format!("TLS: {error}{hint}");
    };
    let words = match reason {
        CertificateError::UnknownIssuer => {
            "no authority that is trusted here signed the server's certificate: name the certificate of its authority, or \
             the server's own, as tls_ca_file"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for other names than the host in the url; use one of them, or name that \
             certificate itself as tls_ca_file"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet; is the clock right?"
        }
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the server shows the certificate of an authority as its own: name exactly that certificate as tls_ca_file"
        }
        _ => return format!("TLS: {error}"),
    };
    format!("TLS: {words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_certificates_are_found_where_clients_hide_them() {
        let tls = || Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let hidden = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls()));
        assert!(cause(&hidden).is_some_and(|words| words.contains("tls_ca_file")));
        assert!(cause(&tls()).is_some());
        assert_eq!(cause(&io::Error::other("connection refused")), None);
    }

    #[test]
    fn certificates_are_read_for_each_connection() {
        let directory = tempfile::tempdir().expect("make a directory");
        let file = directory.path().join("ca.pem");
        let settings = TlsSettings { mode: Tls::Verify, ca_file: Some(file.clone()) };
        assert!(settings.client_config().expect_err("there is no file").contains("read tls_ca_file"));
        std::fs::copy("../onrush/tests/ca.pem", &file).expect("copy the certificate");
        assert!(settings.client_config().is_ok());
        std::fs::write(&file, "").expect("empty the file");
        assert!(settings.client_config().expect_err("it is empty").contains("has no certificate"));
    }

    #[test]
    fn settings_and_scheme_agree() {
        let with = |mode, ca_file: Option<&str>| TlsSettings { mode, ca_file: ca_file.map(Into::into) };
        for (settings, is_encrypted, problem) in [
            (with(Tls::Auto, None), true, ""),
            (with(Tls::Auto, None), false, ""),
            (with(Tls::Verify, None), true, ""),
            (with(Tls::Off, None), false, ""),
            (with(Tls::Off, None), true, "tls is off, and url begins with rediss://"),
            (with(Tls::Verify, None), false, "url must begin with rediss://"),
            (with(Tls::UnsafeNoVerify, None), false, "url must begin with rediss://"),
            (with(Tls::Auto, Some("/nowhere")), false, "tls_ca_file needs a url that begins with rediss://"),
            (with(Tls::Auto, Some("/nowhere")), true, "read tls_ca_file: "),
        ] {
            let outcome = settings.check_scheme(is_encrypted, "rediss").err().unwrap_or_default();
            assert!(outcome.contains(problem) && outcome.is_empty() == problem.is_empty(), "{outcome}");
        }
    }
}
