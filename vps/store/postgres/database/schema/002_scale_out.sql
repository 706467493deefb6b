-- Every key leads with device_id, so one more machine is a matter of an extension. An extension that is created after
-- this ran needs the same statements by hand.

do $$
begin
    if not exists (select from pg_extension where extname = 'timescaledb') then
        return;
    end if;
    perform create_hypertable('samples'::regclass, 'ts'::name,
        chunk_time_interval => interval '7 days', create_default_indexes => false, migrate_data => true);
    -- The Apache edition, which Debian ships, refuses compression; nothing depends on it.
    begin
        execute 'alter table samples set (timescaledb.compress, timescaledb.compress_segmentby = ''device_id'', timescaledb.compress_orderby = ''ts'')';
        perform add_compression_policy('samples'::regclass, interval '30 days');
    exception when others then
        raise notice 'samples stay uncompressed: %', sqlerrm;
    end;
end
$$;

-- Citus: what belongs to a device is in one shard. What does not is on the coordinator alone: a table that is on every
-- node could not be written while one of them is away.

do $$
begin
    if not exists (select from pg_extension where extname = 'citus') then
        return;
    end if;
    perform create_distributed_table('samples'::regclass, 'device_id');
    perform create_distributed_table('rollups'::regclass, 'device_id', colocate_with => 'samples');
    perform create_distributed_table('devices'::regclass, 'device_id', colocate_with => 'samples');
end
$$;
