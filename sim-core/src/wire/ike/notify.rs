//! The Notify payload (RFC 7296 section 3.10).
//!
//! ```text
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Protocol ID  |   SPI Size    |      Notify Message Type      |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ~                Security Parameter Index (SPI)                 ~
//! ~                       Notification Data                       ~
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use super::{Error, Protocol, Reader, Spi, wire_enum};

wire_enum! {
    /// Notify message types: RFC 7296 section 3.10.1 and the IANA registry's later ones.
    NotifyType(u16) {
        UnsupportedCriticalPayload = 1,
        InvalidIkeSpi = 4,
        InvalidMajorVersion = 5,
        InvalidSyntax = 7,
        InvalidMessageId = 9,
        InvalidSpi = 11,
        NoProposalChosen = 14,
        InvalidKePayload = 17,
        AuthenticationFailed = 24,
        SinglePairRequired = 34,
        NoAdditionalSas = 35,
        InternalAddressFailure = 36,
        FailedCpRequired = 37,
        TsUnacceptable = 38,
        InvalidSelectors = 39,
        UnacceptableAddresses = 40,
        UnexpectedNatDetected = 41,
        UseAssignedHoA = 42,
        TemporaryFailure = 43,
        ChildSaNotFound = 44,
        InvalidGroupId = 45,
        AuthorizationFailed = 46,
        StateNotFound = 47,
        TsMaxQueue = 48,
        InitialContact = 16384,
        SetWindowSize = 16385,
        AdditionalTsPossible = 16386,
        IpcompSupported = 16387,
        NatDetectionSourceIp = 16388,
        NatDetectionDestinationIp = 16389,
        Cookie = 16390,
        UseTransportMode = 16391,
        HttpCertLookupSupported = 16392,
        RekeySa = 16393,
        EspTfcPaddingNotSupported = 16394,
        NonFirstFragmentsAlso = 16395,
        MobikeSupported = 16396,
        AdditionalIp4Address = 16397,
        AdditionalIp6Address = 16398,
        NoAdditionalAddresses = 16399,
        UpdateSaAddresses = 16400,
        Cookie2 = 16401,
        NoNatsAllowed = 16402,
        AuthLifetime = 16403,
        MultipleAuthSupported = 16404,
        AnotherAuthFollows = 16405,
        RedirectSupported = 16406,
        Redirect = 16407,
        RedirectedFrom = 16408,
        TicketLtOpaque = 16409,
        TicketRequest = 16410,
        TicketAck = 16411,
        TicketNack = 16412,
        TicketOpaque = 16413,
        LinkId = 16414,
        UseWespMode = 16415,
        RohcSupported = 16416,
        EapOnlyAuthentication = 16417,
        ChildlessIkev2Supported = 16418,
        QuickCrashDetection = 16419,
        IkeMessageIdSyncSupported = 16420,
        IpsecReplayCounterSyncSupported = 16421,
        IkeMessageIdSync = 16422,
        IpsecReplayCounterSync = 16423,
        SecurePasswordMethods = 16424,
        PskPersist = 16425,
        PskConfirm = 16426,
        ErxSupported = 16427,
        IfomCapability = 16428,
        SenderRequestId = 16429,
        FragmentationSupported = 16430,
        SignatureHashAlgorithms = 16431,
        CloneIkeSaSupported = 16432,
        CloneIkeSa = 16433,
        Puzzle = 16434,
        UsePpk = 16435,
        PpkIdentity = 16436,
        NoPpkAuth = 16437,
        IntermediateExchangeSupported = 16438,
        Ip4Allowed = 16439,
        Ip6Allowed = 16440,
        AdditionalKeyExchange = 16441,
        UseAggfrag = 16442,
    }
}

impl NotifyType {
    /// True for error types: below 16384 (RFC 7296 section 3.10.1).
    pub const fn is_error(self) -> bool {
        self.to_wire() < 16384
    }
}

/// A notification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Notify<'a> {
    /// The SA's protocol if an SPI is given, else none.
    pub protocol: Protocol,
    /// The SA it concerns, if it concerns one.
    pub spi: Spi,
    /// What it says.
    pub kind: NotifyType,
    /// Data that depends on the type.
    pub data: &'a [u8],
}

impl<'a> Notify<'a> {
    /// A notification about no particular SA.
    pub const fn new(kind: NotifyType, data: &'a [u8]) -> Self {
        Self { protocol: Protocol::None, spi: Spi::EMPTY, kind, data }
    }

    /// A notification about the ESP or AH SA with this SPI.
    pub fn about_child(protocol: Protocol, kind: NotifyType, spi: u32) -> Self {
        Self { protocol, spi: spi.into(), kind, data: &[] }
    }

    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.protocol.to_wire(), self.spi.octets().len() as u8]);
        out.extend_from_slice(&self.kind.to_wire().to_be_bytes());
        out.extend_from_slice(self.spi.octets());
        out.extend_from_slice(self.data);
    }
}

pub(super) fn parse<'a>(r: &mut Reader<'a>) -> Result<Notify<'a>, Error> {
    let protocol = Protocol::from_wire(r.u8("Protocol ID")?);
    let spi_size = r.u8("SPI Size")?;
    let kind = NotifyType::from_wire(r.u16("Notify Message Type")?);
    let Some(spi) = Spi::new(r.take(usize::from(spi_size), "SPI")?) else {
        return r.value("SPI Size", u32::from(spi_size));
    };
    let data = r.rest();
    Ok(Notify { protocol, spi, kind, data })
}
