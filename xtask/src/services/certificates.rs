//! A certificate authority for one server on the loopback interface, and the server's certificate signed by it.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::home::{Home, remove_if_there, write_private};
use super::process::run_logged;

/// Both certificates; openssl takes it whole, and looks at no file of the machine then.
const CONFIGURATION: &str = "[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
";

const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -config openssl.cnf";

/// Makes `ca.pem`, `server.crt` and `server.key` in `home`. The authority's key is thrown away: it signs nothing else.
pub(super) fn make(home: &Home) -> Result<()> {
    write_private(&home.path("openssl.cnf"), CONFIGURATION)?;
    for arguments in [
        format!(
            "req -x509 {NEW_KEY} -extensions authority -days 3650 -subj /CN=onrush-services -keyout ca.key -out ca.pem"
        ),
        format!("req {NEW_KEY} -subj /CN=localhost -keyout server.key -out server.csr"),
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 1 -days 3650 -extfile openssl.cnf \
         -extensions server -out server.crt"
            .to_owned(),
    ] {
        let mut openssl = Command::new("openssl");
        openssl.current_dir(&home.directory).args(arguments.split_whitespace());
        run_logged(&mut openssl, "make a certificate", &home.log())?;
    }
    for file in ["ca.key", "server.csr", "openssl.cnf"] {
        remove_if_there(&home.path(file)).context("remove what made the certificate")?;
    }
    Ok(())
}
