//! The first part of message ids. Each start uses a new word for the sends that it makes: numbers repeat when a store
//! is restored from a backup, and a receiver drops a message whose id it has seen. A send that is repeated keeps its
//! id.

/// The first send of each epoch, with the epoch's word; ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MessageEpochs(Vec<(u64, String)>);

impl MessageEpochs {
    /// The epochs as a store keeps them. Before the first epoch, every id begins with the store's own name.
    pub(crate) fn read(text: Option<&str>, uuid: &str) -> Result<Self, serde_json::Error> {
        text.map_or_else(|| Ok(Self(vec![(0, uuid.to_owned())])), |text| serde_json::from_str(text).map(Self))
    }

    /// Begins an epoch for all sends from `next` on, and forgets the epochs without an open send.
    pub(crate) fn begin(&mut self, next: u64, open: &[u64]) {
        let needed: Vec<String> = open.iter().map(|send| self.of(*send).to_owned()).collect();
        self.0.retain(|(_, word)| needed.contains(word));
        self.0.push((next, format!("{:016x}", rand::random::<u64>())));
    }

    /// As a store keeps them.
    pub(crate) fn write(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&self.0)
    }

    /// The id of a send's message.
    pub(crate) fn message_id(&self, send: u64) -> String {
        format!("msg_{}_{send}", self.of(send))
    }

    fn of(&self, send: u64) -> &str {
        let mine = self.0.iter().rev().find(|(first, _)| *first <= send);
        mine.or(self.0.first()).map_or("", |(_, word)| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_keeps_the_word_of_the_start_that_made_it_for_as_long_as_it_is_open() {
        let mut first = MessageEpochs::read(None, "store").unwrap();
        assert_eq!(first.message_id(1), "msg_store_1");
        first.begin(1, &[]);
        let mut second = first.clone();
        second.begin(3, &[1]);
        assert_eq!(second.of(1), first.of(1));
        assert_ne!(second.of(3), first.of(3));
        let mut third = second.clone();
        third.begin(3, &[]);
        assert_eq!(third.0.len(), 1, "{third:?}");
        assert_ne!(third.of(3), second.of(3));
        assert_eq!(MessageEpochs::read(Some(&third.write().unwrap()), "store").unwrap(), third);
    }
}
