//! What we put into a certificate.

/// A CA's subject: the distinguished name attributes that a mesh file may set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// CN, at most 64 characters.
    pub common_name: Option<String>,
    /// O, at most 64 characters.
    pub organization: Option<String>,
    /// OU, at most 64 characters.
    pub organizational_unit: Option<String>,
    /// C, two upper-case letters (ISO 3166).
    pub country: Option<String>,
    /// ST, at most 128 characters.
    pub province: Option<String>,
    /// L, at most 128 characters.
    pub locality: Option<String>,
}
