//! Notifiers: one file per platform. A notifier renders a message into a request body and reads the reply.
