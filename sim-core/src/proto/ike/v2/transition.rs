//! What an IKE_SA does with an event, in every state: one total function, without a catch-all.

/// What an IKE_SA waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SaState {
    /// Initiator: IKE_SA_INIT is sent.
    ExpectInitResponse,
    /// Initiator: IKE_INTERMEDIATE is sent.
    ExpectIntermediateResponse,
    /// Initiator: IKE_AUTH is sent.
    ExpectAuthResponse,
    /// Responder: IKE_SA_INIT is answered, and IKE_INTERMEDIATE is to come.
    ExpectIntermediateRequest,
    /// Responder: all before IKE_AUTH is answered.
    ExpectAuthRequest,
    /// Both ends are authenticated.
    Established,
    /// Another IKE_SA has taken over; its maker deletes this one.
    Replaced,
    /// This end has sent a DELETE of the IKE_SA.
    Deleting,
    /// Over; it only repeats its last response, in case that was lost.
    Lingering,
}

/// What can happen to an IKE_SA. Requests are the peer's next by Message ID, responses answer the outstanding request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Event {
    /// IKE_SA_INIT request with the SPI of an SA there is: a repetition.
    InitRequest,
    /// IKE_AUTH request.
    AuthRequest,
    /// CREATE_CHILD_SA request.
    ChildRequest,
    /// INFORMATIONAL request.
    InfoRequest,
    /// IKE_INTERMEDIATE request.
    IntermediateRequest,
    /// IKE_FOLLOWUP_KE request.
    FollowupRequest,
    /// Request of an exchange type not known here.
    UnknownRequest,
    /// A protected request that was answered before.
    RepeatedRequest,
    /// IKE_SA_INIT response.
    InitResponse,
    /// IKE_AUTH response.
    AuthResponse,
    /// CREATE_CHILD_SA response.
    ChildResponse,
    /// INFORMATIONAL response.
    InfoResponse,
    /// IKE_INTERMEDIATE response.
    IntermediateResponse,
    /// IKE_FOLLOWUP_KE response.
    FollowupResponse,
    /// Any message whose ID is not in the window or whose request is not outstanding.
    Stray,
    /// The retransmission timer expired and tries are left.
    RetransmitDue,
    /// The last retransmission went unanswered.
    RetransmitExhausted,
    /// The peer has been silent for the DPD timeout.
    PeerSilent,
    /// A responder's patience is over.
    HalfOpenExpired,
    /// The IKE_SA's lifetime is over.
    LifetimeExpired,
    /// The operator wants it down.
    Close,
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Action {
    /// Nothing; the datagram had no effect.
    Ignore,
    /// Send the stored response to IKE_SA_INIT again, if the request is the same octet by octet.
    RepeatInit,
    /// Send the stored response again, if the request is authentic.
    Repeat,
    /// Read the response to IKE_SA_INIT, send IKE_INTERMEDIATE or IKE_AUTH.
    ReadInitResponse,
    /// Answer IKE_INTERMEDIATE.
    ReadIntermediateRequest,
    /// Read the response to IKE_INTERMEDIATE, send the next one or IKE_AUTH.
    ReadIntermediateResponse,
    /// Authenticate the initiator, answer.
    ReadAuthRequest,
    /// Authenticate the responder.
    ReadAuthResponse,
    /// Answer a protected request.
    ReadRequest,
    /// Read a protected response.
    ReadResponse,
    /// Send the outstanding request again.
    SendAgain,
    /// The attempt failed: remove the SA.
    Fail,
    /// The peer is dead: remove the SA, act as DPD is configured.
    PeerDead,
    /// Remove the SA.
    Remove,
    /// Send a DELETE as soon as the window allows.
    Delete,
}

/// What an SA in `state` does with `event`.
pub fn transition(state: SaState, event: Event) -> Action {
    use Action::*;
    use Event::*;
    match state {
        SaState::ExpectInitResponse => match event {
            InitResponse => ReadInitResponse,
            RetransmitDue => SendAgain,
            RetransmitExhausted => Fail,
            Close => Remove,
            InitRequest | AuthRequest | ChildRequest | InfoRequest | IntermediateRequest | FollowupRequest
            | UnknownRequest | RepeatedRequest | AuthResponse | ChildResponse | InfoResponse | IntermediateResponse
            | FollowupResponse | Stray | PeerSilent | HalfOpenExpired | LifetimeExpired => Ignore,
        },
        SaState::ExpectIntermediateResponse => match event {
            IntermediateResponse => ReadIntermediateResponse,
            RetransmitDue => SendAgain,
            RetransmitExhausted => Fail,
            Close => Remove,
            InitRequest | AuthRequest | ChildRequest | InfoRequest | IntermediateRequest | FollowupRequest
            | UnknownRequest | RepeatedRequest | InitResponse | AuthResponse | ChildResponse | InfoResponse
            | FollowupResponse | Stray | PeerSilent | HalfOpenExpired | LifetimeExpired => Ignore,
        },
        SaState::ExpectAuthResponse => match event {
            AuthResponse => ReadAuthResponse,
            RetransmitDue => SendAgain,
            RetransmitExhausted => Fail,
            Close => Remove,
            InitRequest | AuthRequest | ChildRequest | InfoRequest | IntermediateRequest | FollowupRequest
            | UnknownRequest | RepeatedRequest | InitResponse | ChildResponse | InfoResponse | IntermediateResponse
            | FollowupResponse | Stray | PeerSilent | HalfOpenExpired | LifetimeExpired => Ignore,
        },
        SaState::ExpectIntermediateRequest => match event {
            InitRequest => RepeatInit,
            RepeatedRequest => Repeat,
            // IKE_AUTH comes too early, which its sender hears.
            IntermediateRequest | AuthRequest => ReadIntermediateRequest,
            HalfOpenExpired | Close => Remove,
            ChildRequest | InfoRequest | FollowupRequest | UnknownRequest | InitResponse | AuthResponse
            | ChildResponse | InfoResponse | IntermediateResponse | FollowupResponse | Stray | RetransmitDue
            | RetransmitExhausted | PeerSilent | LifetimeExpired => Ignore,
        },
        SaState::ExpectAuthRequest => match event {
            InitRequest => RepeatInit,
            RepeatedRequest => Repeat,
            AuthRequest => ReadAuthRequest,
            HalfOpenExpired | Close => Remove,
            ChildRequest | InfoRequest | IntermediateRequest | FollowupRequest | UnknownRequest | InitResponse
            | AuthResponse | ChildResponse | InfoResponse | IntermediateResponse | FollowupResponse | Stray
            | RetransmitDue | RetransmitExhausted | PeerSilent | LifetimeExpired => Ignore,
        },
        SaState::Established => match event {
            AuthRequest | ChildRequest | InfoRequest | IntermediateRequest | FollowupRequest | UnknownRequest => {
                ReadRequest
            }
            RepeatedRequest => Repeat,
            ChildResponse | InfoResponse | FollowupResponse => ReadResponse,
            RetransmitDue => SendAgain,
            RetransmitExhausted | PeerSilent => PeerDead,
            LifetimeExpired | Close => Delete,
            InitRequest | InitResponse | AuthResponse | IntermediateResponse | Stray | HalfOpenExpired => Ignore,
        },
        SaState::Replaced => match event {
            AuthRequest | ChildRequest | InfoRequest | IntermediateRequest | FollowupRequest | UnknownRequest => {
                ReadRequest
            }
            RepeatedRequest => Repeat,
            ChildResponse | InfoResponse | FollowupResponse => ReadResponse,
            RetransmitDue => SendAgain,
            // Whether the peer lives is a question to the heir.
            RetransmitExhausted | PeerSilent => Remove,
            LifetimeExpired | Close => Delete,
            InitRequest | InitResponse | AuthResponse | IntermediateResponse | Stray | HalfOpenExpired => Ignore,
        },
        SaState::Deleting => match event {
            AuthRequest | ChildRequest | InfoRequest | IntermediateRequest | FollowupRequest | UnknownRequest => {
                ReadRequest
            }
            RepeatedRequest => Repeat,
            ChildResponse | InfoResponse | FollowupResponse => ReadResponse,
            RetransmitDue => SendAgain,
            // The peer did not confirm the DELETE, but this end has made up its mind.
            RetransmitExhausted | PeerSilent => Remove,
            InitRequest | InitResponse | AuthResponse | IntermediateResponse | Stray | HalfOpenExpired
            | LifetimeExpired | Close => Ignore,
        },
        SaState::Lingering => match event {
            RepeatedRequest => Repeat,
            HalfOpenExpired => Remove,
            InitRequest | AuthRequest | ChildRequest | InfoRequest | IntermediateRequest | FollowupRequest
            | UnknownRequest | InitResponse | AuthResponse | ChildResponse | InfoResponse | IntermediateResponse
            | FollowupResponse | Stray | RetransmitDue | RetransmitExhausted | PeerSilent | LifetimeExpired | Close => {
                Ignore
            }
        },
    }
}

impl SaState {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::ExpectInitResponse,
        Self::ExpectIntermediateResponse,
        Self::ExpectAuthResponse,
        Self::ExpectIntermediateRequest,
        Self::ExpectAuthRequest,
        Self::Established,
        Self::Replaced,
        Self::Deleting,
        Self::Lingering,
    ];
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 21] = [
        Self::InitRequest,
        Self::AuthRequest,
        Self::ChildRequest,
        Self::InfoRequest,
        Self::IntermediateRequest,
        Self::FollowupRequest,
        Self::UnknownRequest,
        Self::RepeatedRequest,
        Self::InitResponse,
        Self::AuthResponse,
        Self::ChildResponse,
        Self::InfoResponse,
        Self::IntermediateResponse,
        Self::FollowupResponse,
        Self::Stray,
        Self::RetransmitDue,
        Self::RetransmitExhausted,
        Self::PeerSilent,
        Self::HalfOpenExpired,
        Self::LifetimeExpired,
        Self::Close,
    ];
}
