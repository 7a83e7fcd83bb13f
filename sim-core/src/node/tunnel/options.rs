//! What an end of a tunnel does with packets that IKE does not negotiate.

use crate::proto::esp::DfBit;
use crate::time::Duration;

/// Settings of one end, with what most devices do as default.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// The DF bit of outer headers (RFC 4301 section 8.1).
    pub df: DfBit,
    /// True if packets that are too long for the tunnel are cut although their DF bit forbids it, as AWS's configuration
    /// files ask of a customer gateway (`clear_df_bit`). Otherwise their sender hears so (RFC 4301 section 8.2.1).
    pub clear_df: bool,
    /// Where packets that are too long are cut.
    pub fragmentation: Fragmentation,
    /// True if this end follows ICMP that tells of a narrower path (RFC 4301 section 8.2).
    pub learns_path_mtu: bool,
    /// What becomes of the MSS option of TCP segments that are forwarded through the tunnel, in either direction.
    pub mss_clamp: Option<MssClamp>,
    /// Shorter packets are padded to so many octets, at most to the tunnel's MTU (RFC 4303 section 2.7); 0 for none. The peer is
    /// held to take them: ESP_TFC_PADDING_NOT_SUPPORTED (RFC 7296 section 1.3.1) is not looked at.
    pub tfc_padding: u16,
    /// How often a dummy packet is sent (RFC 4303 section 2.6).
    pub dummy_every: Option<Duration>,
    /// After so many packets a CHILD_SA is rekeyed; `Some(0)`: never; `None`: [`crate::proto::esp::Limits`] says.
    pub rekey_packets: Option<u64>,
    /// After so many packets a CHILD_SA sends no more, where that is less than the number space.
    pub last_packet: Option<u64>,
    /// How long the inbound half of a CHILD_SA that was rekeyed and deleted stays, for packets that others have overtaken;
    /// `None`: it goes with the DELETE (RFC 7296 section 1.4.1).
    pub delete_rekeyed_delay: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            df: DfBit::Clear,
            clear_df: false,
            fragmentation: Fragmentation::BeforeEncryption,
            learns_path_mtu: false,
            mss_clamp: None,
            tfc_padding: 0,
            dummy_every: None,
            rekey_packets: None,
            last_packet: None,
            delete_rekeyed_delay: None,
        }
    }
}

/// Where a packet that is too long for the tunnel is cut (RFC 4459 sections 3.1 and 3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fragmentation {
    /// Its fragments are sealed one by one: what the guide recommends. Whoever it is for puts them together, or AWS does.
    BeforeEncryption,
    /// It is sealed whole, and the sealed packet is cut: the other end must put it together before it can open it.
    AfterEncryption,
}

/// What TCP's maximum segment size is lowered to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MssClamp {
    /// What fits the tunnel without options: its MTU less 40, and less 60 over IPv6.
    Auto,
    /// So many octets.
    To(u16),
}

impl MssClamp {
    /// The greatest MSS that passes a tunnel of this MTU.
    pub fn most(self, tunnel_mtu: u16) -> u16 {
        const IPV4_AND_TCP: u16 = 40;
        match self {
            Self::Auto => tunnel_mtu.saturating_sub(IPV4_AND_TCP),
            Self::To(octets) => octets,
        }
    }

    /// The same over IPv6.
    pub fn most_v6(self, tunnel_mtu: u16) -> u16 {
        const IPV6_AND_TCP: u16 = 60;
        match self {
            Self::Auto => tunnel_mtu.saturating_sub(IPV6_AND_TCP),
            Self::To(octets) => octets,
        }
    }
}
