//! A certificate authority for one server on the loopback interface, and the server's certificates signed by it.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::home::{Home, make_private_directory, remove_if_there, write_private};
use super::process::run_logged;

/// All certificates; openssl takes it whole, and looks at no file of the machine then.
const CONFIGURATION: &str = "[ca]
default_ca = past
[past]
database = past/index
new_certs_dir = past
default_md = sha256
policy = any
rand_serial = yes
[any]
commonName = supplied
[req]
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

/// Makes `ca.pem`, `server.key`, `server.crt`, and in `expired.crt` one for the same key whose time is over, in `home`.
/// The authority's key is thrown away: it signs nothing else.
pub(super) fn make(home: &Home) -> Result<()> {
    write_private(&home.path("openssl.cnf"), CONFIGURATION)?;
    // What openssl keeps of those that it gives with dates of their own.
    make_private_directory(&home.path("past"))?;
    write_private(&home.path("past/index"), "")?;
    for arguments in [
        format!(
            "req -x509 {NEW_KEY} -extensions authority -days 3650 -subj /CN=onrush-services -keyout ca.key -out ca.pem"
        ),
        format!("req {NEW_KEY} -subj /CN=localhost -keyout server.key -out server.csr"),
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 1 -days 3650 -extfile openssl.cnf \
         -extensions server -out server.crt"
            .to_owned(),
        "ca -batch -notext -config openssl.cnf -cert ca.pem -keyfile ca.key -in server.csr -extensions server \
         -startdate 20200101000000Z -enddate 20200102000000Z -out expired.crt"
            .to_owned(),
    ] {
        let mut openssl = Command::new("openssl");
        openssl.current_dir(&home.directory).args(arguments.split_whitespace());
        run_logged(&mut openssl, "make a certificate", &home.log())?;
    }
    for file in ["ca.key", "server.csr", "openssl.cnf", "past"] {
        remove_if_there(&home.path(file)).context("remove what made the certificate")?;
    }
    Ok(())
}
