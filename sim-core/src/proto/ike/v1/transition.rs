//! What an ISAKMP SA does with an event, in every state: one total function, without a catch-all.

/// What an ISAKMP SA waits for. Main Mode's messages are numbered from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SaState {
    /// Initiator: the offer is sent.
    ExpectMessage2,
    /// Initiator: key exchange and nonce are sent.
    ExpectMessage4,
    /// Initiator: identity and HASH_I are sent.
    ExpectMessage6,
    /// Responder: a suite is chosen.
    ExpectMessage3,
    /// Responder: key exchange and nonce are sent.
    ExpectMessage5,
    /// Both ends are authenticated.
    Established,
    /// A younger ISAKMP SA has taken its place; the peer may still use it.
    Replaced,
}

/// What can happen to an ISAKMP SA.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Event {
    /// A Main Mode message.
    MainMode,
    /// The Main Mode message that was answered last, octet by octet.
    RepeatedMainMode,
    /// A Quick Mode message with a Message ID that was never used.
    QuickModeFirst,
    /// A Quick Mode message of an exchange under way.
    QuickModeNext,
    /// The Quick Mode message that was answered last, octet by octet.
    RepeatedQuickMode,
    /// An Informational message.
    Informational,
    /// A message of an exchange type not known here.
    UnknownExchange,
    /// A message of an exchange that is over, or without the encryption that its place demands.
    Stray,
    /// The retransmission timer of what this end began expired and tries are left.
    RetransmitDue,
    /// The last retransmission of what this end began went unanswered.
    RetransmitExhausted,
    /// The last retransmission of this end's answer in Quick Mode went unanswered.
    AnswerExhausted,
    /// The peer has been silent for the DPD timeout.
    PeerSilent,
    /// A responder's patience is over.
    HalfOpenExpired,
    /// The ISAKMP SA is to be replaced.
    RekeyDue,
    /// The ISAKMP SA's lifetime is over.
    LifetimeExpired,
    /// The operator wants it down.
    Close,
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Action {
    /// Nothing; the datagram had no effect.
    Ignore,
    /// Read the chosen suite, send key exchange and nonce.
    ReadMessage2,
    /// Read key exchange and nonce, answer with this end's.
    ReadMessage3,
    /// Read key exchange and nonce, send identity and HASH_I.
    ReadMessage4,
    /// Authenticate the initiator, answer.
    ReadMessage5,
    /// Authenticate the responder.
    ReadMessage6,
    /// Send the answer of Main Mode again.
    RepeatMainMode,
    /// Answer Quick Mode's first message.
    AnswerQuickMode,
    /// Read Quick Mode's second or third message.
    ContinueQuickMode,
    /// Send the last message of a Quick Mode again.
    RepeatQuickMode,
    /// Read a refusal of Main Mode.
    ReadRefusal,
    /// Read a protected Informational message.
    ReadInformational,
    /// Send what is outstanding again.
    SendAgain,
    /// The attempt failed: remove the SA.
    Fail,
    /// Give up this end's answer in Quick Mode.
    Abandon,
    /// The peer is dead: remove the SA, act as DPD is configured.
    PeerDead,
    /// Remove the SA.
    Remove,
    /// Begin another Main Mode.
    Rekey,
    /// Send a DELETE and remove the SA.
    Delete,
}

/// What an SA in `state` does with `event`.
pub fn transition(state: SaState, event: Event) -> Action {
    use Action::*;
    use Event as E;
    match state {
        SaState::ExpectMessage2 => match event {
            E::MainMode => ReadMessage2,
            E::Informational => ReadRefusal,
            E::RetransmitDue => SendAgain,
            E::RetransmitExhausted => Fail,
            E::Close => Remove,
            E::RepeatedMainMode
            | E::QuickModeFirst
            | E::QuickModeNext
            | E::RepeatedQuickMode
            | E::UnknownExchange
            | E::Stray
            | E::AnswerExhausted
            | E::PeerSilent
            | E::HalfOpenExpired
            | E::RekeyDue
            | E::LifetimeExpired => Ignore,
        },
        SaState::ExpectMessage4 => match event {
            E::MainMode => ReadMessage4,
            E::Informational => ReadRefusal,
            E::RetransmitDue => SendAgain,
            E::RetransmitExhausted => Fail,
            E::Close => Remove,
            E::RepeatedMainMode
            | E::QuickModeFirst
            | E::QuickModeNext
            | E::RepeatedQuickMode
            | E::UnknownExchange
            | E::Stray
            | E::AnswerExhausted
            | E::PeerSilent
            | E::HalfOpenExpired
            | E::RekeyDue
            | E::LifetimeExpired => Ignore,
        },
        SaState::ExpectMessage6 => match event {
            E::MainMode => ReadMessage6,
            E::Informational => ReadRefusal,
            E::RetransmitDue => SendAgain,
            E::RetransmitExhausted => Fail,
            E::Close => Remove,
            E::RepeatedMainMode
            | E::QuickModeFirst
            | E::QuickModeNext
            | E::RepeatedQuickMode
            | E::UnknownExchange
            | E::Stray
            | E::AnswerExhausted
            | E::PeerSilent
            | E::HalfOpenExpired
            | E::RekeyDue
            | E::LifetimeExpired => Ignore,
        },
        SaState::ExpectMessage3 => match event {
            E::MainMode => ReadMessage3,
            // The initiator repeats until it is answered, so the responder needs no timer of its own.
            E::RepeatedMainMode => RepeatMainMode,
            E::HalfOpenExpired | E::Close => Remove,
            E::QuickModeFirst
            | E::QuickModeNext
            | E::RepeatedQuickMode
            | E::Informational
            | E::UnknownExchange
            | E::Stray
            | E::RetransmitDue
            | E::RetransmitExhausted
            | E::AnswerExhausted
            | E::PeerSilent
            | E::RekeyDue
            | E::LifetimeExpired => Ignore,
        },
        SaState::ExpectMessage5 => match event {
            E::MainMode => ReadMessage5,
            // The initiator repeats until it is answered, so the responder needs no timer of its own.
            E::RepeatedMainMode => RepeatMainMode,
            E::HalfOpenExpired | E::Close => Remove,
            E::QuickModeFirst
            | E::QuickModeNext
            | E::RepeatedQuickMode
            | E::Informational
            | E::UnknownExchange
            | E::Stray
            | E::RetransmitDue
            | E::RetransmitExhausted
            | E::AnswerExhausted
            | E::PeerSilent
            | E::RekeyDue
            | E::LifetimeExpired => Ignore,
        },
        SaState::Established => match event {
            E::RepeatedMainMode => RepeatMainMode,
            E::QuickModeFirst => AnswerQuickMode,
            E::QuickModeNext => ContinueQuickMode,
            E::RepeatedQuickMode => RepeatQuickMode,
            E::Informational => ReadInformational,
            E::RetransmitDue => SendAgain,
            E::AnswerExhausted => Abandon,
            E::RetransmitExhausted | E::PeerSilent => PeerDead,
            E::RekeyDue => Rekey,
            E::LifetimeExpired | E::Close => Delete,
            E::MainMode | E::UnknownExchange | E::Stray | E::HalfOpenExpired => Ignore,
        },
        SaState::Replaced => match event {
            E::RepeatedMainMode => RepeatMainMode,
            E::QuickModeFirst => AnswerQuickMode,
            E::QuickModeNext => ContinueQuickMode,
            E::RepeatedQuickMode => RepeatQuickMode,
            E::Informational => ReadInformational,
            E::RetransmitDue => SendAgain,
            E::AnswerExhausted => Abandon,
            // Whether the peer lives is for the younger SA to find out.
            E::RetransmitExhausted => Remove,
            E::LifetimeExpired | E::Close => Delete,
            E::MainMode | E::UnknownExchange | E::Stray | E::PeerSilent | E::HalfOpenExpired | E::RekeyDue => Ignore,
        },
    }
}

impl SaState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::ExpectMessage2,
        Self::ExpectMessage4,
        Self::ExpectMessage6,
        Self::ExpectMessage3,
        Self::ExpectMessage5,
        Self::Established,
        Self::Replaced,
    ];
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 16] = [
        Self::MainMode,
        Self::RepeatedMainMode,
        Self::QuickModeFirst,
        Self::QuickModeNext,
        Self::RepeatedQuickMode,
        Self::Informational,
        Self::UnknownExchange,
        Self::Stray,
        Self::RetransmitDue,
        Self::RetransmitExhausted,
        Self::AnswerExhausted,
        Self::PeerSilent,
        Self::HalfOpenExpired,
        Self::RekeyDue,
        Self::LifetimeExpired,
        Self::Close,
    ];
}
