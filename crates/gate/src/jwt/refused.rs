//! Why a token of the shop proves nothing, in words.

/// The most characters of a token. Header fields and bodies of requests leave room for more.
pub const JWT_CHARS_MAX: usize = 4_096;

/// Why a token proves nothing. The sentences name no value of the token or of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtRefused {
    /// It is not three parts in base64url, or its parts are not what they should be.
    #[error("is no signed JWT of at most {JWT_CHARS_MAX} characters")]
    Malformed,
    /// There is no key of its algorithm, or none with the id that it names.
    #[error("is signed by a key or an algorithm that is not known here")]
    UnknownKey,
    /// No key made its signature.
    #[error("has a signature that is not valid")]
    BadSignature,
    /// It has expired.
    #[error("has expired")]
    Expired,
    /// It says when it expires in no way that can be read, or not at all.
    #[error("does not say as a number when it expires (exp)")]
    NoExpiry,
    /// It is not good yet.
    #[error("is not valid yet (nbf)")]
    NotYet,
    /// Somebody else made it.
    #[error("is from another issuer (iss)")]
    WrongIssuer,
    /// It is for somebody else.
    #[error("is for another audience (aud)")]
    WrongAudience,
    /// It does not name a customer, or by a name that a customer cannot have here.
    #[error(
        "does not name a customer in its claim for that, or by a name other than 1 to 64 characters of A-Z a-z 0-9 . _ ~ : @ -"
    )]
    NoCustomer,
}
