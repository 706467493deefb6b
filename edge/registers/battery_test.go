package registers

import (
	"errors"
	"math"
	"testing"
)

// What a case does not name was not read.
func TestBatteryDirectionIsFoundOrUnknown(t *testing.T) {
	const hole = 0xFFFF
	negative := func(v int16) uint16 { return uint16(-v) }
	for _, c := range []struct {
		name   string
		words  Words
		want   float64
		method string
		err    error
	}{
		{"signed, charging", Words{5213: negative(1373), 5214: 0xFFFF}, 1373, BySignedPower, nil},
		{"signed, discharging", Words{5213: 928, 5214: 0}, -928, BySignedPower, nil},
		{"signed, beyond one word", Words{5213: 0x9C40, 5214: 0}, -40000, BySignedPower, nil},
		{"signed wins over all the rest", Words{5213: 500, 5214: 0, 13021: negative(400), 13000: charging}, -500, BySignedPower, nil},
		{"signed idle", Words{5213: 0, 5214: 0, 13021: 300}, 0, BySignedPower, nil},
		{"signed is implausible", Words{5213: 0, 5214: 0x7000, 13021: 0}, 0, ByIdle, nil},
		{"signed is marked", Words{5213: 0xFFFF, 5214: 0x7FFF, 13021: negative(700)}, 700, ByLegacySign, nil},
		{"signed is a hole", Words{5213: hole, 5214: hole, 13021: 700, 13000: discharging}, -700, ByFlowBits, nil},
		{"signed is a hole, idle", Words{5213: hole, 5214: hole, 13021: 0}, 0, ByIdle, nil},
		{"signed is really -1", Words{5213: hole, 5214: hole, 13021: 1}, 1, BySignedPower, nil},
		{"half of signed is refused", Words{5213: 900, 13021: 0}, 0, ByIdle, nil},

		{"new firmware, charging", Words{13021: negative(250)}, 250, ByLegacySign, nil},
		{"new firmware, charging against the bits", Words{13021: negative(250), 13000: discharging}, 250, ByLegacySign, nil},
		{"new firmware, -1 W", Words{13021: hole, 13020: 0}, 1, ByLegacySign, nil},
		{"old firmware, bit of charging", Words{13021: 7977, 13000: charging | 1<<3}, 7977, ByFlowBits, nil},
		{"old firmware, bit of discharging", Words{13021: 1480, 13000: discharging | 1<<3}, -1480, ByFlowBits, nil},
		{"bits win over the current", Words{13021: 1480, 13000: discharging, 13020: negative(5)}, -1480, ByFlowBits, nil},
		{"both bits, current", Words{13021: 600, 13000: charging | discharging, 13020: negative(30)}, 600, ByCurrentSign, nil},
		{"no bit, fine current", Words{13021: 600, 13000: 0, 13020: 30, 5630: negative(30)}, 600, ByCurrentSign, nil},
		{"bits are marked, current", Words{13021: 600, 13000: hole, 5630: negative(30)}, 600, ByCurrentSign, nil},
		{"idle with a bit", Words{13021: 0, 13000: charging}, 0, ByIdle, nil},

		{"nothing tells", Words{13021: 600, 13000: 1, 13020: 30, 5630: 30}, 0, "", ErrDirectionUnknown},
		{"both bits", Words{13021: 600, 13000: charging | discharging}, 0, "", ErrDirectionUnknown},
		{"current is marked", Words{13021: 600, 13020: 0x7FFF, 5630: 0x7FFF}, 0, "", ErrDirectionUnknown},
		{"current is a hole", Words{13021: 600, 13020: hole}, 0, "", ErrDirectionUnknown},
		{"power is marked", Words{13021: 0x7FFF, 13000: charging}, 0, "", ErrNotAvailable},
		{"all is a hole", Words{5213: hole, 5214: hole, 13000: hole, 13020: hole, 13021: hole, 5630: hole}, 0, "", ErrNotAvailable},
		{"block D is missing", Words{}, 0, "", ErrNotRead},
		{"block D is missing, signed is there", Words{5213: 5, 5214: 0}, -5, BySignedPower, nil},
		{"block D is missing, signed may be a hole", Words{5213: hole, 5214: hole}, 0, "", ErrNotRead},
	} {
		got, method, err := BatteryPower(c.words)
		if got != c.want || method != c.method || !errors.Is(err, c.err) || math.Signbit(got) != (got < 0) {
			t.Errorf("%s: %v by %q, %v; not %v by %q, %v", c.name, got, method, err, c.want, c.method, c.err)
		}
	}
}
