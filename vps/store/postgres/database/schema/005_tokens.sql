-- Tokens that are created while servers run. Of a secret there is only the sum. With Citus they are on the coordinator alone,
-- like meta, in which the key tokens counts their changes.

create table tokens (
    id      text primary key,
    sum     bytea not null unique,
    name    text not null,
    role    text not null,
    devices text[],
    created timestamptz not null,
    used    timestamptz,
    expires timestamptz,
    revoked timestamptz
);

comment on table tokens is 'Who may send or read, beside the tokens of the settings. Changed by: sunspool token';
comment on column tokens.sum is 'SHA-256 of the secret, which is kept nowhere';
comment on column tokens.role is 'device, viewer or admin';
comment on column tokens.devices is 'Which devices it is for; null for all';
comment on column tokens.used is 'Last use, at most a minute behind; null: never';
