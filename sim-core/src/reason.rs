//! The closed vocabularies of the trace: why a packet was dropped, why a session or route changed, which timer expired,
//! in which state a session is. Every value has a stable code (what files and reports print) and a sentence.

macro_rules! codes {
    ($($(#[$doc:meta])* pub enum $name:ident { $($variant:ident $code:literal $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum $name {
            $(#[doc = $text] $variant,)*
        }

        impl $name {
            /// Every value, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable code that files and reports print.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The code in words.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.code())
            }
        }
    )*};
}

codes! {
    /// Why a packet went no further.
    pub enum DropReason {
        // Links
        LinkDown "link_down" "the link was down, or went down while the packet was on it",
        Blackhole "blackhole" "the path silently discards in this direction",
        Loss "loss" "random loss of the path",
        QueueFull "queue_full" "the link's transmit queue was full",
        TooBigForLink "too_big_for_link" "longer than the link's MTU where no router could fragment it",
        // Nodes
        NodeDown "node_down" "the device had no power",
        BadChecksum "bad_checksum" "damaged: a checksum did not match",
        Malformed "malformed" "not a well-formed packet",
        NoRoute "no_route" "no route to the destination",
        BlackholeRoute "blackhole_route" "the best route is a blackhole",
        TtlExceeded "ttl_exceeded" "the TTL reached zero (RFC 1812 section 5.3.1)",
        FragmentationNeeded "fragmentation_needed" "too big for the next link and DF is set (RFC 1191)",
        ReassemblyTimeout "reassembly_timeout" "not all fragments came in time (RFC 1122 section 3.3.2)",
        FragmentOverlap "fragment_overlap" "a fragment that repeats or contradicts another of its datagram",
        ReassemblyFull "reassembly_full" "no room to keep more fragments",
        NotForMe "not_for_me" "not addressed to this host",
        IcmpIgnored "icmp_ignored" "an ICMP error, which is not authentic and changes nothing (RFC 7296 section 2.4)",
        PortUnreachable "port_unreachable" "nobody listens on that port",
        TtlTooLow "ttl_too_low" "the TTL is below what a peer so near must have (RFC 5082)",
        // IPsec
        NoSa "no_sa" "the tunnel has no usable CHILD_SA",
        UnknownSpi "unknown_spi" "no security association has this SPI",
        SelectorMismatch "selector_mismatch" "outside the CHILD_SA's traffic selectors",
        Replayed "replayed" "already received, or left of the anti-replay window; that is checked before the ICV, so a damaged sequence number can count here (RFC 4303 section 3.4.3)",
        BadIcv "bad_icv" "the ICV did not verify",
        BadPadding "bad_padding" "ESP trailer or padding is not well-formed",
        UnexpectedMessage "unexpected_message" "an IKE message that the receiver's state does not expect",
        SequenceExhausted "sequence_exhausted" "the ESP sequence number would wrap (RFC 4303 section 3.3.3)",
        // AWS
        NotEgress "not_egress" "the gateway has no healthy tunnel for the destination",
        VpcNoRoute "vpc_no_route" "the VPC route table has no route to the destination",
        // NATs and filters
        NatNoMapping "nat_no_mapping" "the NAT has no mapping for it",
        NatFiltered "nat_filtered" "the NAT's filter does not admit this sender (RFC 4787 section 5)",
        NatExhausted "nat_exhausted" "the NAT has no free port or table entry left",
        NatUnsupported "nat_unsupported" "the NAT does not pass this protocol",
        NatConflict "nat_conflict" "another inside host uses IPsec pass-through to the same peer",
        NatFragment "nat_fragment" "the NAT does not pass fragments, or has not seen the first of this datagram",
        FilterRule "filter_rule" "a filter rule refuses it",
        // Live
        NotCarried "not_carried" "what a real device is not sent: all but UDP, and ESP if that is asked for, for its own address",
        // IPsec, beyond the common
        BadAhIcv "bad_ah_icv" "the ICV of AH did not verify: it covers the outer addresses, which a NAT changes (RFC 4302 section 3.3.3)",
        DummyPacket "dummy_packet" "a dummy packet for traffic flow confidentiality, which ends here on purpose (RFC 4303 section 2.6)",
        // Fragments
        FragmentDropped "fragment_dropped" "the path drops IP fragments",
        // Routers, beyond the common
        ReversePath "reverse_path" "no way back to its source, or not by the port at which it came in (RFC 3704 section 2)",
        PolicyRoute "policy_route" "a rule of policy routing drops it",
        Md5Missing "md5_missing" "a TCP segment without the signature that the connection asks for (RFC 2385)",
        Md5Mismatch "md5_mismatch" "a TCP segment whose signature does not verify: the two keys differ (RFC 2385)",
        Md5Unexpected "md5_unexpected" "a signed TCP segment (RFC 2385) where no key is configured",
        TgwNoRoute "tgw_no_route" "the transit gateway route table has no route to the destination",
        // VPCs
        VpcNoInterface "vpc_no_interface" "no network interface of the VPC has that address",
        SourceDestinationCheck "source_destination_check" "neither from nor for the interface's own address, as EC2's source/destination check asks",
        NetworkAclOutbound "network_acl_outbound" "the network ACL of the subnet that it leaves denies it",
        NetworkAclInbound "network_acl_inbound" "the network ACL of the subnet that it enters denies it",
        NoPublicAddress "no_public_address" "no Elastic IP address belongs to it, so the internet gateway does not translate it",
        TransitInternetGateway "transit_internet_gateway" "what comes by a virtual private gateway or peering does not leave by the VPC's internet gateway",
        TransitNatGateway "transit_nat_gateway" "what comes by a virtual private gateway, Direct Connect or peering does not reach a NAT gateway",
        TransitNatInstance "transit_nat_instance" "what comes by a virtual private gateway is not routed to an instance: its edge table knows the VPC's own addresses only",
        TransitPeering "transit_peering" "VPC peering carries what goes between the two VPCs themselves, not through one of them",
        TransitGatewayEndpoint "transit_gateway_endpoint" "a gateway endpoint serves what is inside of its VPC only",
        TransitVirtualPrivateGateway "transit_virtual_private_gateway" "what comes by peering or an internet gateway does not leave by the VPC's virtual private gateway",
        SecurityGroupOutbound "security_group_outbound" "no rule of the interface's security groups lets it out, and it is of no tracked flow",
        SecurityGroupInbound "security_group_inbound" "no rule of the interface's security groups lets it in, and it is of no tracked flow",
        NatIdle "nat_idle" "the NAT gateway has forgotten the idle connection and answers with a RST",
        // Stateful firewalls
        FirewallNoState "firewall_no_state" "the firewall knows no connection to which it belongs, and it begins none",
        FirewallOtherZone "firewall_other_zone" "the firewall knows its flow, but by another interface or zone",
        FirewallBadState "firewall_bad_state" "the firewall's state of the connection does not expect it",
        FirewallOutOfWindow "firewall_out_of_window" "outside the windows of its connection, as the firewall knows them",
        FirewallUnrelated "firewall_unrelated" "ICMP that answers nothing and is about nothing that the firewall knows",
        FirewallPolicy "firewall_policy" "the firewall lets nothing begin from there",
        FirewallFull "firewall_full" "the firewall's table has no room for another flow",
        // Limits
        TunnelBandwidth "tunnel_bandwidth" "more octets a second than AWS carries through one tunnel",
        TunnelPacketRate "tunnel_packet_rate" "more packets a second than AWS carries through one tunnel",
        // Direct Connect
        DxgwNoRoute "dxgw_no_route" "no virtual interface of the Direct Connect gateway has a route to the destination",
        DxgwNotAllowed "dxgw_not_allowed" "outside of the allowed prefixes of all gateways that are associated with the Direct Connect gateway",
        DxgwInterfaceToInterface "dxgw_interface_to_interface" "a Direct Connect gateway passes nothing between virtual interfaces without SiteLink",
        DxgwGatewayToGateway "dxgw_gateway_to_gateway" "a Direct Connect gateway passes nothing between the gateways that are associated with it",
        DxgwInterfaceToVpn "dxgw_interface_to_vpn" "nothing passes between a Direct Connect gateway and the VPN connections of a virtual private gateway that is associated with it",
        LagNotCollecting "lag_not_collecting" "a member of a LAG that does not take frames: LACP has not put it in, or has put it out",
        // LANs
        ArpUnresolved "arp_unresolved" "nobody on the link answers ARP for the next hop (RFC 826)",
        FrameNotForMe "frame_not_for_me" "a frame for another station, which a switch sent everywhere",
        VlanNotCarried "vlan_not_carried" "the port of the switch does not carry the frame's VLAN",
        VrrpNotMaster "vrrp_not_master" "for the station of a virtual router of which this one is not the master (RFC 5798 section 6.4.2)",
        VrrpNotAccepted "vrrp_not_accepted" "for the address of a virtual router, which its master takes only in Accept_Mode (RFC 5798 section 6.4.3)",
        VrrpNotHeard "vrrp_not_heard" "an advertisement of another virtual router, or to the owner of the addresses (RFC 5798 section 7.1)",
        // Transit gateways, beyond their tables
        AttachmentZone "attachment_zone" "the transit gateway's attachment has no subnet in its availability zone",
        AttachmentBandwidth "attachment_bandwidth" "more octets a second than AWS carries through one attachment",
        AttachmentPacketRate "attachment_packet_rate" "more packets a second than AWS carries through one attachment",
        GreNoTunnel "gre_no_tunnel" "no GRE tunnel of this device is between these addresses, with this key",
        // IPv6
        PacketTooBig "packet_too_big" "longer than the next hop's MTU: only its sender may cut an IPv6 packet (RFC 8200 section 5)",
        AddressUnreachable "address_unreachable" "neither end of the point-to-point link by which it came has that address (RFC 4443 section 3.1)",
        // Client VPN
        ClientVpnCredentials "client_vpn_credentials" "Client VPN: the directory does not know the user, or not with that password",
        ClientVpnSaml "client_vpn_saml" "Client VPN: the SAML identity provider asserts nothing of the user",
        ClientVpnCertificate "client_vpn_certificate" "Client VPN: no certificate, one of another authority, or one that has expired",
        ClientVpnRevoked "client_vpn_revoked" "Client VPN: the client's certificate is in the revocation list",
        ClientVpnMfa "client_vpn_mfa" "Client VPN: the second factor is wrong",
        ClientVpnFull "client_vpn_full" "Client VPN: no address of the client CIDR is left",
        ClientVpnNoSession "client_vpn_no_session" "Client VPN: no client is connected from there, or has that address",
        ClientVpnSource "client_vpn_source" "Client VPN: not from the address that the client was given",
        ClientVpnNoRoute "client_vpn_no_route" "Client VPN: the association has no route to the destination",
        ClientVpnNotAuthorized "client_vpn_not_authorized" "Client VPN: no authorization rule lets the user's groups go there",
        ClientVpnNotConnected "client_vpn_not_connected" "Client VPN: the tunnel leads there, and the client is not connected",
        // Route 53 Resolver
        TransitResolver "transit_resolver" "the resolver's address in a VPC serves what is inside of it only; others need an inbound endpoint",
        // EC2
        ConntrackAllowanceExceeded "conntrack_allowance_exceeded" "it begins a flow, and the instance tracks as many as its connection tracking allowance lets it",
        // NAT gateways
        NatGatewayBandwidth "nat_gateway_bandwidth" "more octets a second than the NAT gateway carries",
        NatGatewayPacketRate "nat_gateway_packet_rate" "more packets a second than the NAT gateway carries",
        // DNS
        ResolverPacketRate "resolver_packet_rate" "more packets a second from one network interface than the VPC's resolver takes",
        NameServerFull "name_server_full" "the name server holds as many queries that wait for others as it may",
    }

    /// Why a session changed its state, a route moved, or a message was sent or refused.
    pub enum Reason {
        // Operator and world
        Configured "configured" "the configuration says so",
        AdminUp "admin_up" "an operator started it",
        AdminDown "admin_down" "an operator stopped it",
        PowerLost "power_lost" "the device lost power",
        PowerRestored "power_restored" "the device has power again",
        LinkLost "link_lost" "the interface's link went down",
        LinkRestored "link_restored" "the interface's link came up",
        // IKE
        Startup "startup" "startup action: start",
        TrafficNeedsSa "traffic_needs_sa" "a packet needed a security association",
        PeerInitiated "peer_initiated" "the peer began the exchange",
        Authenticated "authenticated" "both ends proved their identity",
        AuthenticationFailed "authentication_failed" "AUTHENTICATION_FAILED: a wrong pre-shared key or identity",
        NoProposalChosen "no_proposal_chosen" "NO_PROPOSAL_CHOSEN: no suite is acceptable to both ends",
        InvalidKe "invalid_ke" "INVALID_KE_PAYLOAD: the responder wants another group",
        InvalidSyntax "invalid_syntax" "INVALID_SYNTAX: a message that breaks RFC 7296",
        UnsupportedCriticalPayload "unsupported_critical_payload" "UNSUPPORTED_CRITICAL_PAYLOAD",
        TsUnacceptable "ts_unacceptable" "TS_UNACCEPTABLE: the traffic selectors do not meet",
        TemporaryFailure "temporary_failure" "TEMPORARY_FAILURE: the peer is busy with a rekey or delete",
        ChildSaNotFound "child_sa_not_found" "CHILD_SA_NOT_FOUND: the peer does not know the SA",
        NoAdditionalSas "no_additional_sas" "NO_ADDITIONAL_SAS: the peer wants no further CHILD_SA",
        PeerDead "peer_dead" "liveness check failed: the peer did not answer",
        PeerDeleted "peer_deleted" "the peer deleted it",
        Deleted "deleted" "this end deleted it",
        RetransmitExhausted "retransmit_exhausted" "the last retransmission went unanswered",
        HalfOpenTimeout "half_open_timeout" "the IKE_SA was not established in time",
        Rekeyed "rekeyed" "replaced by a new SA",
        RekeyDue "rekey_due" "rekey time reached",
        LifetimeExpired "lifetime_expired" "lifetime reached",
        DpdRestart "dpd_restart" "DPD timeout action: restart",
        InvalidSpi "invalid_spi" "INVALID_SPI or INVALID_IKE_SPI",
        InvalidMajorVersion "invalid_major_version" "INVALID_MAJOR_VERSION: the peer does not speak IKEv2",
        PeerRefused "peer_refused" "the peer refused for a reason that is not understood",
        InitialContact "initial_contact" "INITIAL_CONTACT: the peer has lost all older SAs",
        // BGP
        TcpConnected "tcp_connected" "the TCP connection came up",
        TcpFailed "tcp_failed" "the TCP connection failed",
        TcpClosed "tcp_closed" "the peer closed the TCP connection",
        OpenReceived "open_received" "a valid OPEN arrived",
        KeepaliveReceived "keepalive_received" "a KEEPALIVE arrived",
        HoldTimerExpired "hold_timer_expired" "nothing from the peer for the hold time",
        ConnectRetry "connect_retry" "the connect-retry timer expired",
        NotificationReceived "notification_received" "the peer sent a NOTIFICATION",
        MessageError "message_error" "a message header was wrong (NOTIFICATION 1)",
        OpenError "open_error" "the OPEN was not acceptable (NOTIFICATION 2)",
        UpdateError "update_error" "an UPDATE was wrong (NOTIFICATION 3)",
        FsmError "fsm_error" "a message came in a state that does not expect it (NOTIFICATION 5)",
        CollisionLost "collision_lost" "the other connection won (RFC 4271 section 6.8)",
        TunnelDown "tunnel_down" "the tunnel below went down",
        TunnelUp "tunnel_up" "the tunnel below came up",
        KeepaliveDue "keepalive_due" "the keepalive timer expired",
        DelayOpenExpired "delay_open_expired" "the delay-open timer expired",
        IdleHoldExpired "idle_hold_expired" "the idle-hold timer expired",
        UpdateReceived "update_received" "an UPDATE arrived",
        RefreshReceived "refresh_received" "a ROUTE-REFRESH arrived",
        PrefixLimit "prefix_limit" "more prefixes than the session allows (NOTIFICATION 6/1)",
        // Routes
        Learned "learned" "learned from a peer",
        Withdrawn "withdrawn" "withdrawn by the peer",
        SessionDown "session_down" "the session it was learned from went down",
        BetterRoute "better_route" "a better route exists",
        OnlyRoute "only_route" "the only route left",
        AsPathLoop "as_path_loop" "the AS_PATH contains our own AS (RFC 4271 section 9.1.2)",
        NextHopUnusable "next_hop_unusable" "the NEXT_HOP is ours or not on the shared subnet (RFC 4271 section 6.3)",
        PolicyRejected "policy_rejected" "the import policy rejects it",
        NotUnicast "not_unicast" "the prefix is not a unicast network (RFC 4271 section 6.3)",
        Originated "originated" "originated by this speaker",
        Propagated "propagated" "propagated from the gateway",
        EndpointHealth "endpoint_health" "the health of a tunnel endpoint changed",
        // IKEv1
        PayloadMalformed "payload_malformed" "PAYLOAD-MALFORMED: what was decrypted makes no sense, as with a wrong pre-shared key",
        InvalidIdInformation "invalid_id_information" "INVALID-ID-INFORMATION: an identity or the selectors are not acceptable",
        InvalidHashInformation "invalid_hash_information" "INVALID-HASH-INFORMATION: a hash did not verify",
        // What only the end that verifies knows; the peer hears AUTHENTICATION_FAILED
        PskMismatch "psk_mismatch" "the peer's AUTH does not verify: the two pre-shared keys differ",
        IdMismatch "id_mismatch" "the peer's identity is not the one that is configured for it",
        AuthMethodMismatch "auth_method_mismatch" "one end has a pre-shared key and the other a certificate",
        CertificateExpired "certificate_expired" "the peer's certificate, or one above it, is expired or not yet valid",
        CertificateUnknownCa "certificate_unknown_ca" "no CA that this end trusts has issued the peer's certificate",
        CertificateUnfit "certificate_unfit" "the peer's certificate is missing, malformed or not for this use",
        CertificateIdMismatch "certificate_id_mismatch" "the peer's certificate does not bear the identity that it claims",
        SignatureMismatch "signature_mismatch" "the peer's AUTH is not signed with the key of its certificate",
        Reauthentication "reauthentication" "time to authenticate the IKE_SA anew",
        // What only the initiator of Main Mode sees
        Undecipherable "undecipherable" "the answer does not decipher, as with a wrong pre-shared key",
        // MOBIKE
        AddressChanged "address_changed" "the address of this end changed, and the peer follows no change (no MOBIKE, RFC 4555)",
        UnacceptableAddresses "unacceptable_addresses" "UNACCEPTABLE_ADDRESSES: the peer does not take the new addresses",
        UnexpectedNat "unexpected_nat" "UNEXPECTED_NAT_DETECTED: the addresses were translated on the way, which NO_NATS_ALLOWED forbids",
        ReturnRoutability "return_routability" "the peer did not return the COOKIE2 that it was sent (RFC 4555 section 3.7)",
        // BFD, and what is watched
        BfdHeard "bfd_heard" "BFD: the other end is heard",
        BfdDetectionExpired "bfd_detection_expired" "BFD: nothing from the other end for the Detection Time",
        BfdNeighborDown "bfd_neighbor_down" "BFD: the other end says that it is down",
        BfdDown "bfd_down" "the BFD session that it depends on went down (Cease 6/10, RFC 9384)",
        TrackUp "track_up" "what is watched is up",
        TrackDown "track_down" "what is watched is down",
        // BGP
        TreatedAsWithdraw "treated_as_withdraw" "its UPDATE is malformed and is treated as a withdrawal (RFC 7606)",
        PeerRestarted "peer_restarted" "the peer has restarted and comes with a new connection (RFC 4724 section 4.2)",
        Restarted "restarted" "the BGP program of this end has restarted",
        StaleExpired "stale_expired" "the peer did not come back, or did not say it again, in time (RFC 4724 section 4.2)",
        NotRefreshed "not_refreshed" "stale, and not among what the peer said until its end mark (RFC 4724, RFC 7313)",
        ForwardingLost "forwarding_lost" "the peer has restarted and did not forward meanwhile (RFC 4724 section 4.2)",
        // BGP within an AS
        OriginatorLoop "originator_loop" "the ORIGINATOR_ID is ours (RFC 4456 section 8)",
        ClusterLoop "cluster_loop" "the CLUSTER_LIST contains our own cluster (RFC 4456 section 8)",
        InteriorCost "interior_cost" "the interior cost to a next hop changed (RFC 4271 section 9.1.2.1)",
        // AWS's tables
        TableFull "table_full" "the VPC route table has as many propagated routes as it takes",
        // Peers that are several hops away
        PeerOffLink "peer_off_link" "an external peer that may not be several hops away is on no connected network",
        NextHopMoved "next_hop_moved" "the way to the NEXT_HOP changed (RFC 4271 section 9.1.2.1)",
        // LAGs
        LacpExpired "lacp_expired" "LACP: nothing from the other end in time (IEEE 802.1AX-2020 section 6.4.12)",
        LacpSynchronized "lacp_synchronized" "LACP: both ends have the link in their aggregation",
        LacpNotSynchronized "lacp_not_synchronized" "LACP: an end does not have the link in its aggregation, or too few of them",
        LagUp "lag_up" "LACP has put a link into the LAG",
        LagDown "lag_down" "no link of the LAG carries traffic",
        // VRRP
        VrrpMasterDown "vrrp_master_down" "VRRP: nothing from the master for Master_Down_Interval (RFC 5798 section 6.4.2)",
        VrrpHigherPriority "vrrp_higher_priority" "VRRP: another router has a higher priority (RFC 5798 section 6.4.3)",
        // Routes at AWS that the customer changes, by hand or by a program
        RouteCreated "route_created" "the customer entered the route",
        RouteReplaced "route_replaced" "the customer had AWS replace the route",
        RouteDeleted "route_deleted" "the customer deleted the route",
        // Client VPN
        ClientVpnAccepted "client_vpn_accepted" "Client VPN: the user is let in",
        ClientVpnCredentials "client_vpn_credentials" "Client VPN: an unknown user, or a wrong password",
        ClientVpnSaml "client_vpn_saml" "Client VPN: the SAML identity provider asserts nothing of the user",
        ClientVpnCertificate "client_vpn_certificate" "Client VPN: no certificate, one of another authority, or one that has expired",
        ClientVpnRevoked "client_vpn_revoked" "Client VPN: the client's certificate is revoked",
        ClientVpnMfa "client_vpn_mfa" "Client VPN: the second factor is wrong",
        ClientVpnFull "client_vpn_full" "Client VPN: no address of the client CIDR is left",
        ClientVpnSilent "client_vpn_silent" "Client VPN: no sign of life from the association",
        // A device with several policies
        Displaced "displaced" "the peer has made another CHILD_SA, and this end keeps one",
    }

    /// Which timer expired.
    pub enum TimerKind {
        DpdIdle "dpd_idle" "IKE liveness: silence since the last inbound packet",
        DpdTimeout "dpd_timeout" "IKE liveness: the peer has been silent for the DPD timeout",
        Retransmission "retransmission" "IKE retransmission",
        HalfOpen "half_open" "IKE_SA not established in time",
        ChildRekey "child_rekey" "CHILD_SA rekey time",
        ChildLifetime "child_lifetime" "CHILD_SA lifetime",
        IkeRekey "ike_rekey" "IKE_SA rekey time",
        IkeLifetime "ike_lifetime" "IKE_SA lifetime",
        IkeRetry "ike_retry" "wait before a new attempt at an IKE_SA",
        NatKeepalive "nat_keepalive" "NAT keepalive (RFC 3948 section 4)",
        HoldTimer "hold_timer" "BGP HoldTimer",
        KeepaliveTimer "keepalive_timer" "BGP KeepaliveTimer",
        ConnectRetryTimer "connect_retry_timer" "BGP ConnectRetryTimer",
        DelayOpenTimer "delay_open_timer" "BGP DelayOpenTimer",
        IdleHoldTimer "idle_hold_timer" "BGP IdleHoldTimer (RFC 4271 section 8.1.1)",
        MinRouteAdvertisement "min_route_advertisement" "BGP MinRouteAdvertisementIntervalTimer",
        MinAsOrigination "min_as_origination" "BGP MinASOriginationIntervalTimer",
        TcpTimer "tcp_timer" "TCP retransmission, persist, delayed ACK or TIME-WAIT",
        ProbeInterval "probe_interval" "next probe",
        ProgrammingDelay "programming_delay" "a table takes time to follow (AWS-internal)",
        PropagationDelay "propagation_delay" "a gateway's route takes time to reach VPC route tables (AWS-internal)",
        EndpointHealth "endpoint_health" "AWS notices that the hardware of a tunnel endpoint is gone (AWS-internal)",
        Reassembly "reassembly" "fragments wait no longer",
        DummyPacket "dummy_packet" "the next dummy packet for traffic flow confidentiality is due (RFC 4303 section 2.6)",
        ChildSwitch "child_switch" "IKEv1: the peer has had time to install the new CHILD_SA",
        Reauthentication "reauthentication" "time to authenticate the IKE_SA anew (RFC 7296 section 2.8.3)",
        BfdDetection "bfd_detection" "BFD: nothing from the other end for the Detection Time (RFC 5880 section 6.8.4)",
        BfdTransmit "bfd_transmit" "BFD: the next control packet is due (RFC 5880 section 6.8.7)",
        DeleteRekeyedDelay "delete_rekeyed_delay" "packets of a CHILD_SA that was rekeyed are waited for no longer",
        TrackInterval "track_interval" "time to ask an address that is watched",
        TrackTimeout "track_timeout" "an address that is watched did not answer",
        RestartTimer "restart_timer" "BGP: a restarting peer is waited for no longer (RFC 4724 section 4.2)",
        StalePathTimer "stale_path_timer" "BGP: stale routes are kept no longer (RFC 4724 section 4.2)",
        SelectionDeferral "selection_deferral" "BGP Selection_Deferral_Timer: this end has restarted and decides with what it has heard (RFC 4724 section 4.1)",
        LacpCurrentWhile "lacp_current_while" "LACP: the other end was not heard for 3 or 90 s (IEEE 802.1AX-2020 section 6.4.12)",
        LacpPeriodic "lacp_periodic" "LACP: the next frame is due",
        LacpAggregateWait "lacp_aggregate_wait" "LACP: ports wait for each other before they are aggregated",
        VrrpMasterDown "vrrp_master_down_timer" "VRRP Master_Down_Timer: three intervals of the master and the skew time (RFC 5798 section 6.2)",
        VrrpAdvertisement "vrrp_adver_timer" "VRRP Adver_Timer: the next advertisement is due (RFC 5798 section 6.2)",
        ArpRetry "arp_retry" "ARP: the question is asked again",
        RouteReplacement "route_replacement" "a program asks AWS to replace a route, and it is replaced",
        ClientVpnConnect "client_vpn_connect" "Client VPN: the client begins, or the association does not answer",
        ClientVpnPing "client_vpn_ping" "Client VPN: the next sign of life is due",
        ClientVpnDead "client_vpn_dead" "Client VPN: no sign of life from the other end in time",
        DnsTimeout "dns_timeout" "DNS: a server that was asked did not answer in time",
    }

    /// The state of a session.
    pub enum State {
        Down "down" "no security association",
        Connecting "connecting" "IKE_SA_INIT, IKE_AUTH or Main Mode under way",
        Up "up" "established",
        Rekeying "rekeying" "being replaced",
        Deleting "deleting" "DELETE under way",
        Idle "idle" "BGP Idle",
        Connect "connect" "BGP Connect",
        Active "active" "BGP Active",
        OpenSent "open_sent" "BGP OpenSent",
        OpenConfirm "open_confirm" "BGP OpenConfirm",
        Established "established" "BGP Established",
        Init "init" "BFD Init",
        AdminDown "admin_down" "BFD AdminDown",
        Initialize "initialize" "VRRP Initialize",
        Backup "backup" "VRRP Backup",
        Master "master" "VRRP Master",
    }

    /// A message or step of a session that is worth a line of its own in a ladder.
    pub enum Step {
        IkeSaInitSent "ike_sa_init_sent" "IKE_SA_INIT request sent",
        IkeSaInitReceived "ike_sa_init_received" "IKE_SA_INIT arrived",
        IkeAuthSent "ike_auth_sent" "IKE_AUTH request sent",
        IkeAuthReceived "ike_auth_received" "IKE_AUTH arrived",
        CreateChildSaSent "create_child_sa_sent" "CREATE_CHILD_SA request sent",
        CreateChildSaReceived "create_child_sa_received" "CREATE_CHILD_SA arrived",
        InformationalSent "informational_sent" "INFORMATIONAL request sent",
        InformationalReceived "informational_received" "INFORMATIONAL arrived",
        Retransmitted "retransmitted" "the last request was sent again",
        NatDetected "nat_detected" "a NAT is on the path: floating to UDP 4500",
        TcpConnecting "tcp_connecting" "TCP connection attempt",
        OpenMessageSent "open_sent" "BGP OPEN sent",
        OpenMessageReceived "open_received" "BGP OPEN arrived",
        KeepaliveMessageSent "keepalive_sent" "BGP KEEPALIVE sent",
        KeepaliveMessageReceived "keepalive_received" "BGP KEEPALIVE arrived",
        UpdateSent "update_sent" "BGP UPDATE sent",
        UpdateReceived "update_received" "BGP UPDATE arrived",
        EndOfRibSent "end_of_rib_sent" "BGP End-of-RIB sent",
        EndOfRibReceived "end_of_rib_received" "BGP End-of-RIB arrived",
        NotificationMessageSent "notification_sent" "BGP NOTIFICATION sent",
        NotificationMessageReceived "notification_received" "BGP NOTIFICATION arrived",
        RouteRefreshReceived "route_refresh_received" "BGP ROUTE-REFRESH arrived",
        MessageIgnored "message_ignored" "a message was refused and had no effect",
        PeerMoved "peer_moved" "the peer's NAT shows another port: following it (RFC 7296 section 2.23)",
        MainModeSent "main_mode_sent" "IKEv1 Main Mode message sent",
        MainModeReceived "main_mode_received" "IKEv1 Main Mode message arrived",
        QuickModeSent "quick_mode_sent" "IKEv1 Quick Mode message sent",
        QuickModeReceived "quick_mode_received" "IKEv1 Quick Mode message arrived",
        IsakmpInformationalSent "isakmp_informational_sent" "IKEv1 Informational message sent",
        IsakmpInformationalReceived "isakmp_informational_received" "IKEv1 Informational message arrived",
        ChildDeleteReceived "child_delete_received" "DELETE of a CHILD_SA arrived: its SPI",
        SequenceLow "sequence_low" "a CHILD_SA has sent so many packets that it wants a successor (RFC 4303 section 3.3.3): its SPI",
        PathMtuLearned "path_mtu_learned" "ICMP tells of a narrower path below the tunnel (RFC 4301 section 8.2): its MTU in octets",
        AddressesUpdated "addresses_updated" "the SAs go between other addresses from here on (RFC 4555 section 3.5): the peer's, as a number",
        IkeIntermediateSent "ike_intermediate_sent" "IKE_INTERMEDIATE message sent",
        IkeIntermediateReceived "ike_intermediate_received" "IKE_INTERMEDIATE message arrived",
        IkeFollowupKeSent "ike_followup_ke_sent" "IKE_FOLLOWUP_KE message sent",
        IkeFollowupKeReceived "ike_followup_ke_received" "IKE_FOLLOWUP_KE message arrived",
        AttributeDiscarded "attribute_discarded" "a malformed attribute of an UPDATE was discarded (RFC 7606): type code and error subcode",
        TreatedAsWithdraw "treated_as_withdraw" "a malformed UPDATE was treated as a withdrawal (RFC 7606): type code and error subcode",
        RouteRefreshSent "route_refresh_sent" "BGP ROUTE-REFRESH sent",
        BeginningOfRefreshSent "beginning_of_refresh_sent" "BGP ROUTE-REFRESH, beginning of the table, sent (RFC 7313)",
        EndOfRefreshSent "end_of_refresh_sent" "BGP ROUTE-REFRESH, end of the table, sent (RFC 7313)",
        BeginningOfRefreshReceived "beginning_of_refresh_received" "BGP ROUTE-REFRESH, beginning of the table, arrived (RFC 7313)",
        EndOfRefreshReceived "end_of_refresh_received" "BGP ROUTE-REFRESH, end of the table, arrived (RFC 7313)",
        PrefixLimitNear "prefix_limit_near" "the peer comes near the most prefixes that the session allows: how many it has announced",
        RoutesRetained "routes_retained" "the session is over and its routes are used on as stale ones (RFC 4724): how many",
        CommunicationReceived "communication_received" "the peer's operator said why in a Cease (RFC 9003): length of the text in octets",
        GratuitousArpSent "gratuitous_arp_sent" "a gratuitous ARP for the addresses of a virtual router was sent (RFC 5798 section 6.4): its VRID",
        MasterReleased "master_released" "the master of a virtual router goes, and says so with priority 0 (RFC 5798 section 6.4.2): its VRID",
        RedundantChild "redundant_child" "a CHILD_SA of this end lost against the one that the peer made at the same time (RFC 7296 section 2.8.1) and is deleted: its SPI",
        AnnouncementsWithheld "announcements_withheld" "the peer has been told of as many prefixes as the quota allows, and is not told of others: how many, when that begins",
    }

    /// Which step of a route evaluation decided; see [`crate::net::aws`].
    pub enum Rule {
        OnlyRoute "only_route" "there was no other route",
        EndpointHealth "endpoint_health" "the others' tunnel endpoints are not healthy",
        LongestPrefix "longest_prefix" "the longest prefix",
        Local "local" "the local route of a VPC comes before every propagated one",
        Static "static" "a static route comes before prefix lists and propagated routes",
        PrefixList "prefix_list" "a route to a prefix list comes before propagated ones",
        DirectConnect "direct_connect" "Direct Connect comes before VPN",
        VpnStatic "vpn_static" "a static route of a VPN connection comes before BGP",
        AttachmentType "attachment_type" "the type of the attachment, or of the route",
        LocalPreferenceCommunity "local_preference_community" "a local preference community, 7224:7100 to 7224:7300",
        AssociatedRegion "associated_region" "locations of the associated Region come before others",
        AsPathLength "as_path_length" "the shortest AS_PATH",
        Med "med" "the lowest MED",
        ExternalPeer "external_peer" "eBGP comes before iBGP",
        EqualCost "equal_cost" "all that are equal: ECMP",
        AwsChoice "aws_choice" "AWS's own choice, by a rule that it does not publish",
    }
}

impl DropReason {
    /// True if a table has no way on for the packet, or none but in a circle: whatever led it there has led it astray.
    pub const fn is_no_way_on(self) -> bool {
        matches!(
            self,
            Self::NoRoute
                | Self::BlackholeRoute
                | Self::TtlExceeded
                | Self::VpcNoRoute
                | Self::VpcNoInterface
                | Self::TgwNoRoute
                | Self::DxgwNoRoute
                | Self::TransitInternetGateway
                | Self::TransitNatGateway
                | Self::TransitNatInstance
                | Self::TransitPeering
                | Self::TransitGatewayEndpoint
                | Self::TransitVirtualPrivateGateway
                | Self::TransitResolver
        )
    }

    /// True if a tunnel, an attachment or a NAT gateway carries no more than that, in octets or packets a second, and what AWS does not
    /// say of its rates decided.
    pub const fn is_beyond_rate(self) -> bool {
        matches!(
            self,
            Self::TunnelBandwidth
                | Self::TunnelPacketRate
                | Self::AttachmentBandwidth
                | Self::AttachmentPacketRate
                | Self::NatGatewayBandwidth
                | Self::NatGatewayPacketRate
        )
    }
}

impl Step {
    /// True if it is about something sent by this end, false if about something that arrived or was noticed.
    pub const fn is_sent(self) -> bool {
        match self {
            Self::IkeSaInitSent
            | Self::IkeAuthSent
            | Self::CreateChildSaSent
            | Self::InformationalSent
            | Self::IkeIntermediateSent
            | Self::IkeFollowupKeSent
            | Self::Retransmitted
            | Self::TcpConnecting
            | Self::OpenMessageSent
            | Self::KeepaliveMessageSent
            | Self::UpdateSent
            | Self::EndOfRibSent
            | Self::RouteRefreshSent
            | Self::BeginningOfRefreshSent
            | Self::EndOfRefreshSent
            | Self::NotificationMessageSent
            | Self::MainModeSent
            | Self::QuickModeSent
            | Self::IsakmpInformationalSent
            | Self::GratuitousArpSent => true,
            Self::IkeSaInitReceived
            | Self::IkeAuthReceived
            | Self::CreateChildSaReceived
            | Self::InformationalReceived
            | Self::IkeIntermediateReceived
            | Self::IkeFollowupKeReceived
            | Self::ChildDeleteReceived
            | Self::RedundantChild
            | Self::SequenceLow
            | Self::PathMtuLearned
            | Self::AddressesUpdated
            | Self::NatDetected
            | Self::PeerMoved
            | Self::OpenMessageReceived
            | Self::KeepaliveMessageReceived
            | Self::UpdateReceived
            | Self::EndOfRibReceived
            | Self::NotificationMessageReceived
            | Self::RouteRefreshReceived
            | Self::BeginningOfRefreshReceived
            | Self::EndOfRefreshReceived
            | Self::AttributeDiscarded
            | Self::TreatedAsWithdraw
            | Self::PrefixLimitNear
            | Self::AnnouncementsWithheld
            | Self::RoutesRetained
            | Self::CommunicationReceived
            | Self::MasterReleased
            | Self::MessageIgnored
            | Self::MainModeReceived
            | Self::QuickModeReceived
            | Self::IsakmpInformationalReceived => false,
        }
    }
}

impl TimerKind {
    /// True if the timer expires because something expected from the peer did not come.
    pub const fn waits_for_peer(self) -> bool {
        matches!(
            self,
            Self::DpdIdle
                | Self::DpdTimeout
                | Self::Retransmission
                | Self::HalfOpen
                | Self::HoldTimer
                | Self::BfdDetection
                | Self::TrackTimeout
                | Self::VrrpMasterDown
                | Self::LacpCurrentWhile
                | Self::ClientVpnDead
                | Self::ClientVpnConnect
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_within_their_vocabulary() {
        fn unique<'a>(codes: impl Iterator<Item = &'a str>) {
            let mut all: Vec<_> = codes.collect();
            let n = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), n);
        }
        unique(DropReason::ALL.iter().map(|c| c.code()));
        unique(Reason::ALL.iter().map(|c| c.code()));
        unique(TimerKind::ALL.iter().map(|c| c.code()));
        unique(State::ALL.iter().map(|c| c.code()));
        unique(Step::ALL.iter().map(|c| c.code()));
        unique(Rule::ALL.iter().map(|c| c.code()));
    }
}
