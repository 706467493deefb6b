package database

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// RegisterTypes registers the types that parameters have, which a connection needs for statements that are not prepared: those
// through a pooler, and all of them if the URL has default_query_exec_mode=exec. pgx registers some 600 types by itself, which
// are a twelfth of the program, unless it is built with the tag nopgxregisterdefaulttypes, as releases are.
func RegisterTypes(m *pgtype.Map) {
	register[bool](m, "bool")
	register[int16](m, "int2")
	register[int32](m, "int4")
	register[int64](m, "int8")
	register[int](m, "int8")
	register[float64](m, "float8")
	register[string](m, "text")
	register[[]byte](m, "bytea")
	register[time.Time](m, "timestamptz")
	registerFloats(m)
}

// register registers values, pointers to values, and slices of both.
func register[T any](m *pgtype.Map, name string) {
	for _, one := range []any{*new(T), new(T)} {
		m.RegisterDefaultPgType(one, name)
	}
	for _, several := range []any{[]T(nil), []*T(nil)} {
		m.RegisterDefaultPgType(several, "_"+name)
	}
}
