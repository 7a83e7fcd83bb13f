//! What an operator sees of ISAKMP SAs and of what Quick Modes have made.

use super::child::ChildPhase;
use super::{Peer, SaState};
use crate::proto::ike::config::IkeVersion;
use crate::proto::ike::look::{ChildSaSeen, IkeSaSeen};

impl Peer {
    pub(in crate::proto::ike) fn ike_sas(&self) -> impl Iterator<Item = IkeSaSeen> {
        // One list of timers serves the tunnel: the first is shown with the SA that is in use.
        let timer = self.next_timer().map(|timer| (timer.what.kind(), timer.due));
        let last = self.sas.len().saturating_sub(1);
        self.sas.iter().enumerate().map(move |(place, sa)| {
            let established = sa.established();
            IkeSaSeen {
                version: IkeVersion::V1,
                spi_i: sa.cookies.i,
                spi_r: sa.cookies.r,
                initiator: sa.cookies.initiator,
                state: words(sa.state()),
                since: established.map(|e| e.since),
                rekey: established.and_then(|e| e.rekey),
                expires: established.map(|e| e.expires),
                timer: timer.filter(|_| place == last),
            }
        })
    }

    pub(in crate::proto::ike) fn child_sas(&self) -> impl Iterator<Item = ChildSaSeen> {
        self.children.all.iter().map(|child| ChildSaSeen {
            spi_in: child.spi_in,
            spi_out: child.spi_out,
            state: match child.phase {
                ChildPhase::Unconfirmed => "unconfirmed",
                ChildPhase::Up => "up",
                ChildPhase::Rekeying => "rekeying",
                ChildPhase::Replaced => "replaced",
            },
            since: child.born,
            rekey: child.rekey,
            expires: child.expires,
        })
    }
}

const fn words(state: SaState) -> &'static str {
    match state {
        SaState::ExpectMessage2 => "Main Mode 1 sent",
        SaState::ExpectMessage4 => "Main Mode 3 sent",
        SaState::ExpectMessage6 => "Main Mode 5 sent",
        SaState::ExpectMessage3 => "expects Main Mode 3",
        SaState::ExpectMessage5 => "expects Main Mode 5",
        SaState::Established => "established",
        SaState::Replaced => "replaced",
    }
}
