//! What this end does in the exchanges it begins: a [`Job`] waits in the queue, a [`Task`] has its request on the way.

use super::create::CreateChild;
use super::mobike::{Asked, Wish};
use super::rekey::RekeyIke;
use crate::reason::Reason;

/// Something to do as soon as the window allows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Job {
    /// CREATE_CHILD_SA: a new CHILD_SA for this policy.
    CreateChild { policy: u8 },
    /// CREATE_CHILD_SA: a replacement for the CHILD_SA with this inbound SPI.
    RekeyChild { spi_in: u32 },
    /// CREATE_CHILD_SA: a replacement for the IKE_SA.
    RekeyIke,
    /// DELETE of the CHILD_SA with this inbound SPI.
    DeleteChild { spi_in: u32 },
    /// DELETE of the IKE_SA.
    DeleteIke(Reason),
    /// An empty INFORMATIONAL.
    Liveness,
    /// N(INVALID_SPI).
    InvalidSpi { spi: u32 },
    /// INFORMATIONAL about addresses.
    Mobike(Wish),
}

impl Task {
    /// True if it makes a CHILD_SA where there was none.
    pub fn creates_child(&self) -> bool {
        match self {
            Self::CreateChild(task) => task.rekeys.is_none(),
            Self::Handshake
            | Self::RekeyIke(_)
            | Self::DeleteChild { .. }
            | Self::DeleteIke(_)
            | Self::Liveness
            | Self::Mobike(_)
            | Self::Notice => false,
        }
    }
}

impl Job {
    /// True if an heir of the IKE_SA has to do it: what is about a CHILD_SA, or about where they go.
    pub fn is_about_a_child(&self) -> bool {
        match self {
            Self::CreateChild { .. }
            | Self::RekeyChild { .. }
            | Self::DeleteChild { .. }
            | Self::InvalidSpi { .. }
            | Self::Mobike(_) => true,
            Self::RekeyIke | Self::DeleteIke(_) | Self::Liveness => false,
        }
    }
}

/// What the response to the outstanding request will be read by.
#[derive(Clone, Hash, Debug)]
pub(super) enum Task {
    /// IKE_SA_INIT or IKE_AUTH: the SA's phase knows.
    Handshake,
    CreateChild(Box<CreateChild>),
    RekeyIke(Box<RekeyIke>),
    DeleteChild {
        spi_in: u32,
    },
    DeleteIke(Reason),
    Liveness,
    /// Something about addresses.
    Mobike(Box<Asked>),
    /// A notification that needs no answer but an empty one.
    Notice,
}
