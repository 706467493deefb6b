package database

import (
	"bytes"
	"math"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
)

// Floats are sent as pgx sends a slice of the same pointers.
func TestFloatsAreEncodedLikeSlices(t *testing.T) {
	m := pgtype.NewMap()
	known, _ := m.TypeForOID(pgtype.Float8ArrayOID)
	codec := floatsCodec{known.Codec}
	m.RegisterDefaultPgType(Floats{}, known.Name)
	one, negative, tiny := 1.0, -2.5, math.SmallestNonzeroFloat64
	for _, slice := range [][]*float64{{}, {&one}, {nil}, {&one, nil, &negative}, {&tiny, &negative, &one, &one}} {
		floats := Floats{len(slice), func(i int) *float64 { return slice[i] }}
		for _, format := range []int16{pgtype.BinaryFormatCode, pgtype.TextFormatCode} {
			want, err := m.Encode(pgtype.Float8ArrayOID, format, slice, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := codec.PlanEncode(m, pgtype.Float8ArrayOID, format, floats).Encode(floats, nil)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d in format %d: %x, %v, not %x", len(slice), format, got, err, want)
			}
			if plain, err := m.Encode(pgtype.Float8ArrayOID, format, floats, nil); err != nil || !bytes.Equal(plain, want) {
				t.Errorf("%d in format %d without the codec: %x, %v, not %x", len(slice), format, plain, err, want)
			}
		}
	}
}
