package witness

import (
	"testing"

	"sunspool/edge/registers"
)

// What a case does not name was not read. Of a battery alone nothing else supports a 0.
func TestBatteryDirectionIsFoundOrUnknown(t *testing.T) {
	const hole = 0xFFFF
	negative := func(v int16) uint16 { return uint16(-v) }
	for _, c := range []struct {
		name  string
		words registers.Words
		want  any
		by    string
	}{
		{"signed, charging", registers.Words{5213: negative(1373), 5214: 0xFFFF}, 1373.0, BySignedPower},
		{"signed, discharging", registers.Words{5213: 928, 5214: 0}, -928.0, BySignedPower},
		{"signed, beyond one word", registers.Words{5213: 0x9C40, 5214: 0}, -40000.0, BySignedPower},
		{"signed against the others", registers.Words{5213: 500, 5214: 0, 13021: negative(400), 13000: charging}, nil, ""},
		{"signed is not there", registers.Words{5213: 0, 5214: 0, 13021: 309, 13000: discharging}, -309.0, ByFlowBits},
		{"signed is implausible", registers.Words{5213: 0, 5214: 0x7000, 13019: 2300, 13021: 0, 13000: 1 << 3}, 0.0, ByIdle},
		{"signed is marked", registers.Words{5213: 0xFFFF, 5214: 0x7FFF, 13021: negative(700)}, 700.0, ByLegacySign},
		{"signed is a hole", registers.Words{5213: hole, 5214: hole, 13021: 700, 13000: discharging}, -700.0, ByFlowBits},
		{"signed is really -1", registers.Words{5213: hole, 5214: hole, 13021: 1}, 1.0, BySignedPower},
		{"half of signed is refused", registers.Words{5213: 900, 13019: 2300, 13021: 0, 13000: 1 << 3}, 0.0, ByIdle},

		{"new firmware, charging", registers.Words{13021: negative(250)}, 250.0, ByLegacySign},
		{"new firmware, charging against the bits", registers.Words{13021: negative(250), 13000: discharging}, 250.0, ByLegacySign},
		{"new firmware, -1 W", registers.Words{13019: 2300, 13021: hole, 13020: 0}, 1.0, ByLegacySign},
		{"old firmware, bit of charging", registers.Words{13021: 7977, 13000: charging | 1<<3}, 7977.0, ByFlowBits},
		{"old firmware, bit of discharging", registers.Words{13021: 1480, 13000: discharging | 1<<3}, -1480.0, ByFlowBits},
		{"bits win over the current", registers.Words{13021: 1480, 13000: discharging, 13020: negative(5)}, -1480.0, ByFlowBits},
		{"both bits, current", registers.Words{13021: 600, 13000: charging | discharging, 13020: negative(30)}, 600.0, ByCurrentSign},
		{"no bit, fine current", registers.Words{13021: 600, 13000: 0, 13020: 30, 5630: negative(30)}, 600.0, ByCurrentSign},
		{"bits are marked, current", registers.Words{13021: 600, 13000: hole, 5630: negative(30)}, 600.0, ByCurrentSign},
		{"voltage times current", registers.Words{13021: 0, 13000: discharging, 13019: 2300, 13020: 130}, -2990.0, ByFlowBits},

		{"a 0 with a bit, and nothing else", registers.Words{13019: 2300, 13020: 0, 13021: 0, 13000: charging}, nil, ""},
		{"nothing tells", registers.Words{13021: 600, 13000: 1, 13020: 30, 5630: 30}, nil, ""},
		{"both bits", registers.Words{13021: 600, 13000: charging | discharging}, nil, ""},
		{"current is marked", registers.Words{13021: 600, 13020: 0x7FFF, 5630: 0x7FFF}, nil, ""},
		{"current is a hole", registers.Words{13021: 600, 13020: hole}, nil, ""},
		{"power is marked", registers.Words{13021: 0x7FFF, 13000: charging}, nil, ""},
		{"all is a hole", registers.Words{5213: hole, 5214: hole, 13000: hole, 13020: hole, 13021: hole, 5630: hole}, nil, ""},
		{"block D is missing", registers.Words{}, nil, ""},
		{"block D is missing, signed is there", registers.Words{5213: 5, 5214: 0}, -5.0, BySignedPower},
		{"block D is missing, signed may be a hole", registers.Words{5213: hole, 5214: hole}, nil, ""},
	} {
		r := Decide(Poll{At: noon, Words: c.words, Map: registers.Hybrid(), Hybrid: true}, nil)
		if !fits(r.BatteryPowerW, c.want) || r.Battery != c.by {
			t.Errorf("%s: %v by %q, not %v by %q; %v", c.name, show(r.BatteryPowerW), r.Battery, c.want, c.by, r.Doubts)
		}
	}
}
