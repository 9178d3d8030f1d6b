//! The integration tests: one binary, linked once. A module per subject; `support` holds what
//! they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod alertmanager;
mod api;
mod architecture;
mod backtests;
mod backup;
mod causes;
mod chat_endpoints;
mod check;
mod check_doubts;
mod check_pace;
mod clocks;
mod commands;
mod config;
mod crash;
mod dates;
mod deliveries;
mod demo;
#[cfg(feature = "outside")]
mod deploy;
mod destinations;
mod diff;
mod dingtalk_chat;
#[cfg(feature = "outside")]
mod docker;
mod docs;
mod doctor;
mod doctor_destinations;
mod email;
mod emulator;
mod ends;
mod enrich;
mod explain;
mod feishu;
mod feishu_app;
mod feishu_chat;
mod feishu_events;
mod file_source;
mod gateway;
mod history;
mod http;
mod incidents;
#[cfg(feature = "kubernetes")]
mod kube_fake;
#[cfg(feature = "outside")]
mod kube_real;
mod kubectl;
mod labels;
mod lease_model;
mod mattermost_chat;
mod messages;
mod modules;
mod mutations;
mod mutes;
mod noise;
mod notifiers;
mod one_failure;
mod otlp;
mod outages;
mod outbox_model;
#[cfg(feature = "outside")]
mod package;
mod page;
#[cfg(feature = "outside")]
mod page_browser;
#[cfg(feature = "outside")]
mod pictures;
#[cfg(feature = "outside")]
mod postgres;
mod preview;
mod qcloud;
mod qcloud_run;
mod quiet;
mod readiness;
mod real_cluster;
mod record;
mod recording;
mod recovery;
mod reload;
mod rendering;
#[cfg(feature = "outside")]
mod replicas;
mod rollouts;
mod rule_tests;
mod rules;
mod run;
mod schemas;
mod secrets;
mod settled;
mod slack_http;
mod slack_run;
mod slack_socket;
mod slack_threads;
mod store;
mod store_damage;
mod store_files;
mod storms;
mod strangers;
mod support;
mod telegram_chat;
mod templates;
mod timelines;
mod unacknowledged;
#[cfg(feature = "outside")]
mod vendor_clients;
mod watched;
mod watching;
mod wecom_app;
mod wecom_bot;
