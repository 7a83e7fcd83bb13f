//! The records themselves.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::IpNet;
use thin_vec::ThinVec;

use super::{Place, Way};
use crate::id::{FaultId, LinkId, NodeId, PacketId, Port, RecordId, SessionId};
use crate::reason::{DropReason, Reason, Rule, State, Step, TimerKind};
use crate::time::Instant;

/// A kept record.
#[derive(Clone, Debug)]
pub struct Record {
    /// When it happened.
    pub at: Instant,
    /// Where it happened.
    pub node: NodeId,
    /// The record that triggered it; for an expired timer, the one that armed it.
    pub cause: RecordId,
    /// The latest record that the journey of the triggering packet depended on (a route, an SA, a link's state), if a
    /// packet triggered it.
    pub enabler: RecordId,
    /// What happened.
    pub what: What,
}

/// Thousands of sessions keep millions of them: each is one cache line.
const _: () = assert!(size_of::<Record>() == 64);

/// Whether a fault strikes or heals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// It begins.
    Strike,
    /// It is over.
    Heal,
}

/// Which table a route change happened in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Table {
    /// The forwarding table of a customer gateway, router or host.
    Fib,
    /// The routes of a virtual private gateway.
    Vgw,
    /// A VPC route table, by its number in the VPC.
    Vpc(u8),
    /// A transit gateway route table, by its number on the gateway.
    Tgw(u8),
    /// What a Direct Connect gateway has for one of its associations, by its number, or after those for SiteLink.
    DxGateway(u8),
}

impl Table {
    /// `fib`, `vgw`, `vpc`, `tgw` or `dxgw`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Fib => "fib",
            Self::Vgw => "vgw",
            Self::Vpc(_) => "vpc",
            Self::Tgw(_) => "tgw",
            Self::DxGateway(_) => "dxgw",
        }
    }

    /// The route tables of transit and Direct Connect gateways and of VPCs are told apart by their numbers; other devices have one.
    pub const fn number(self) -> Option<u8> {
        match self {
            Self::Fib | Self::Vgw => None,
            Self::Vpc(number) | Self::Tgw(number) | Self::DxGateway(number) => Some(number),
        }
    }
}

/// The prefixes of one BGP UPDATE, in its order. A long list is the same memory in all records that have it: a gateway says one thing to
/// thousands of neighbours, and each record of it, at either end, would hold it again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prefixes {
    /// Routes that are no more.
    pub withdrawn: Arc<[IpNet]>,
    /// Routes that the message offers.
    pub announced: Arc<[IpNet]>,
    /// What an UPDATE that arrived says of them.
    pub attributes: Option<Attributes>,
}

/// What a BGP UPDATE says of the routes that it offers, as far as records keep it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attributes {
    /// AS_PATH in the usual notation: `65010 65020 {65030 65040}`.
    pub as_path: Box<str>,
    /// NEXT_HOP.
    pub next_hop: Ipv4Addr,
    /// MULTI_EXIT_DISC, if it has one.
    pub med: Option<u32>,
}

/// What a BGP OPEN says, as far as records keep it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Open {
    /// The sender's AS.
    pub asn: u32,
    /// The hold time that it proposes, in seconds.
    pub hold_time: u16,
    /// Its BGP Identifier.
    pub identifier: Ipv4Addr,
}

/// What a kept record says.
#[derive(Clone, Debug)]
pub enum What {
    /// The world began.
    Genesis,
    /// A fault of the timeline acted on the world.
    Fault {
        /// Which.
        fault: FaultId,
        /// Begin or end.
        phase: Phase,
    },
    /// A device lost or regained power.
    Power {
        /// True if it has power now.
        on: bool,
    },
    /// A session changed its state.
    State {
        /// This end of it.
        session: SessionId,
        /// Before.
        from: State,
        /// After.
        to: State,
        /// Why.
        reason: Reason,
    },
    /// A timer expired.
    Expired {
        /// Whose, if a session's.
        session: Option<SessionId>,
        /// Which.
        timer: TimerKind,
        /// When it was last armed.
        armed_at: Instant,
        /// The record to blame for the first lost packet that would have re-armed it.
        starver: Option<RecordId>,
    },
    /// A protocol message was sent or arrived.
    Step {
        /// This end.
        session: SessionId,
        /// Which.
        step: Step,
        /// Its message id, prefix count or code, as the step defines.
        detail: u32,
        /// True for the response of an IKE exchange.
        response: bool,
        /// What an error notification in it says.
        notice: Option<Reason>,
        /// What an UPDATE is about.
        prefixes: Option<Box<Prefixes>>,
        /// What a BGP OPEN says.
        open: Option<Box<Open>>,
    },
    /// The best route to a prefix changed, or the step that decided.
    Route {
        /// In which table.
        table: Table,
        /// To where.
        prefix: IpNet,
        /// Way out before, if there was one.
        from: Option<Port>,
        /// Way out now, if there is one.
        to: Option<Port>,
        /// Why.
        reason: Reason,
        /// The step of AWS's order that decided, in one of AWS's tables.
        rule: Option<Rule>,
        /// Further ways out that are used beside `to`: ECMP.
        beside: ThinVec<Port>,
        /// True if only the step changed, and no packet takes another way.
        stays: bool,
    },
}

impl What {
    /// The session it is about.
    pub const fn session(&self) -> Option<SessionId> {
        match self {
            Self::State { session, .. } | Self::Step { session, .. } => Some(*session),
            Self::Expired { session, .. } => *session,
            Self::Genesis | Self::Fault { .. } | Self::Power { .. } | Self::Route { .. } => None,
        }
    }
}

/// What happened to a packet at one place.
#[derive(Clone, Copy, Debug)]
pub struct Hop {
    /// When.
    pub at: Instant,
    /// At which device ([`NodeId`] of all ones on a link).
    pub node: NodeId,
    /// Which packet.
    pub packet: PacketId,
    /// What.
    pub step: HopStep,
}

/// A step in a packet's life.
#[derive(Clone, Copy, Debug)]
pub enum HopStep {
    /// It came into being; the xxh3-64 of its bytes.
    Created(u64),
    /// It was cut from, or copied from, another packet.
    CutFrom(PacketId),
    /// It entered a link.
    Sent(LinkId, Way),
    /// It arrived at a device's port.
    Arrived(Port),
    /// The device chose this way out; next hop, unspecified if the destination is on the link.
    Forwarded(Port, Ipv4Addr),
    /// A NAT changed its addresses or ports; the xxh3-64 of its bytes after that.
    Translated(u64),
    /// A gateway lowered the MSS that it tells to so many octets; the xxh3-64 of its bytes after that.
    MssClamped(u16, u64),
    /// A tunnel put it into another packet; the hash of what it is then.
    Encapsulated(u64),
    /// A tunnel took it out of another packet; the hash of what it is then.
    Decapsulated(u64),
    /// It was sealed in ESP or AH: SPI, sequence number, last four octets of the ICV.
    Sealed(u32, u32, u32),
    /// It was opened: SPI and sequence number.
    Opened(u32, u32),
    /// It reached its destination.
    Delivered,
    /// It went no further.
    Dropped(DropReason, Place),
}
