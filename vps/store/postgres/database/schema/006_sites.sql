-- Several devices that belong together. With Citus on the coordinator alone, like tokens.

create table sites (
    name    text collate "C" primary key,
    devices text[] not null
);

comment on table sites is 'Inverters of one household. Changed by: sunspool site';
