//! What an operator sees of IKE_SAs and CHILD_SAs.

use super::child::{Child, ChildPhase};
use super::sa::Sa;
use super::{Peer, SaState};
use crate::proto::ike::config::IkeVersion;
use crate::proto::ike::look::{ChildSaSeen, IkeSaSeen};

impl Peer {
    pub(in crate::proto::ike) fn ike_sas(&self) -> impl Iterator<Item = IkeSaSeen> {
        self.sas.iter().map(|sa| {
            let established = sa.established();
            IkeSaSeen {
                version: IkeVersion::V2,
                spi_i: sa.ids.spi_i,
                spi_r: sa.ids.spi_r,
                initiator: sa.ids.initiator,
                state: words(sa.state()),
                since: established.map(|e| e.since),
                rekey: established.and_then(|e| e.rekey),
                expires: established.map(|e| e.expires),
                timer: sa.next_timer(&self.env).map(|timer| (timer.what.kind(), timer.due)),
            }
        })
    }

    pub(in crate::proto::ike) fn child_sas(&self) -> impl Iterator<Item = ChildSaSeen> {
        self.sas.iter().filter_map(Sa::established).flat_map(|e| &e.children).map(|child: &Child| ChildSaSeen {
            spi_in: child.spi_in,
            spi_out: child.spi_out,
            state: match child.phase {
                ChildPhase::Up => "up",
                ChildPhase::Rekeying => "rekeying",
                ChildPhase::Replaced => "replaced",
                ChildPhase::Deleting(_) => "deleting",
            },
            since: child.born,
            rekey: child.rekey,
            expires: child.expires,
        })
    }
}

const fn words(state: SaState) -> &'static str {
    match state {
        SaState::ExpectInitResponse => "IKE_SA_INIT sent",
        SaState::ExpectIntermediateResponse => "IKE_INTERMEDIATE sent",
        SaState::ExpectAuthResponse => "IKE_AUTH sent",
        SaState::ExpectIntermediateRequest => "expects IKE_INTERMEDIATE",
        SaState::ExpectAuthRequest => "expects IKE_AUTH",
        SaState::Established => "established",
        SaState::Replaced => "replaced",
        SaState::Deleting => "deleting",
        SaState::Lingering => "over",
    }
}
