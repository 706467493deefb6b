-- What strict clients sent with times that no inverter has: taken, so that they go on, and in no answer.

create table set_aside (
    device_id   text not null,
    number      bigint not null,
    hash        bytea not null,
    received_at timestamptz not null,
    code        text not null,
    sample      text not null,
    primary key (device_id, number),
    unique (device_id, hash)
);

comment on table set_aside is 'Samples of strict batches with impossible times. Nothing reads them but: sunspool vps aside';
comment on column set_aside.number is 'In the order of arrival, for each device';
comment on column set_aside.hash is 'Of the sample, so that it is kept once however often it is sent';
comment on column set_aside.code is 'ts_too_old or ts_in_future';
comment on column set_aside.sample is 'JSON, as it was sent';

-- Without a default, as in 003.
alter table devices add column aside bigint;

comment on column devices.aside is 'The last number in set_aside, also if it was deleted there';

do $$
begin
    if not exists (select from pg_extension where extname = 'citus') then
        return;
    end if;
    perform create_distributed_table('set_aside'::regclass, 'device_id', colocate_with => 'samples');
end
$$;
