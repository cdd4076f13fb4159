//! Tasks that a person, or a program that pays with work, solves before a claim. What they are and whether one is solved is for
//! others to say; here stands what a sale asks for and what a claim brings.

/// Which challenges a sale asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum ChallengeTerms {
    /// None.
    #[default]
    Off = 0,
    /// Digits to be read from a picture or heard.
    Image = 1,
    /// A number to be found by trying.
    ProofOfWork = 2,
    /// One of the two.
    Either = 3,
}

/// What a challenge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are named as in `ChallengeTerms`")]
pub enum ChallengeKind {
    Image,
    ProofOfWork,
}

/// What a claim brings of a challenge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BroughtChallenge {
    /// Nothing.
    #[default]
    Missing,
    /// One that is not solved, or over, or another customer's or sale's, or that was verified before.
    Failed,
    /// One that is solved, and is verified for the first time.
    Solved(ChallengeKind),
}

impl ChallengeTerms {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Off, Self::Image, Self::ProofOfWork, Self::Either];

    /// As clients write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Image => ChallengeKind::Image.as_str(),
            Self::ProofOfWork => ChallengeKind::ProofOfWork.as_str(),
            Self::Either => "either",
        }
    }

    /// The kinds of which it asks for one; empty if it asks for none.
    pub const fn kinds(self) -> &'static [ChallengeKind] {
        match self {
            Self::Off => &[],
            Self::Image => &[ChallengeKind::Image],
            Self::ProofOfWork => &[ChallengeKind::ProofOfWork],
            Self::Either => &[ChallengeKind::Image, ChallengeKind::ProofOfWork],
        }
    }
}

impl ChallengeKind {
    /// As clients write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::ProofOfWork => "proof_of_work",
        }
    }
}
