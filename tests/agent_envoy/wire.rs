//! What a node shows to whoever connects.

use certctl::endpoint::{Address, Look};
use certctl::x509::certificate::Certificate;

use crate::support::wait::{self, DEADLINE};

/// The leaf that is shown at a port of loopback.
pub fn leaf(port: u16) -> Certificate {
    try_leaf(port).unwrap_or_else(|| panic!("no certificate is shown at {port}"))
}

/// The leaf that is shown at a port of loopback, if any is.
pub fn try_leaf(port: u16) -> Option<Certificate> {
    let address = Address { host: "127.0.0.1".to_owned(), port };
    let look = Look { server_name: None, protocols: Vec::new(), identity: None, timeout: DEADLINE };
    let chain = look.at(&address).ok()?.chain;
    Some(Certificate::from_der(chain.into_iter().next()?).expect("a certificate"))
}

/// Waits until the leaf with this serial number is shown.
pub fn shows(port: u16, serial: &str) {
    wait::until(&format!("{serial} is shown"), || (leaf(port).serial() == serial).then_some(()));
}
