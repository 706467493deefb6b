package registers

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestThePlanIsTheNotesPlan(t *testing.T) {
	const hybrid = "identity 4951 x 50,A 4999 x 36,B 5213 x 29,C 5600 x 39,D 12999 x 80"
	const stringPlan = "identity 4951 x 50,A 4999 x 37,B 5037 x 8,C 5080 x 20,D 5112 x 36,M 5600 x 2"
	for name, want := range map[string]string{
		"":        hybrid + ",E 5114 x 2",
		"SH4.0RS": hybrid,
		"SH8.0RS": hybrid + ",E 5114 x 2",
		"SH10RS":  hybrid + ",E 5114 x 2",
		"SH10RT":  hybrid,
		"SH15T":   hybrid,
		"SH5K-30": hybrid,
		"SG5.0RS": stringPlan,
		"SG50CX":  stringPlan, // the meter blocks are asked of every unit: its answers say whether it has them,
	} {
		model, _ := ModelNamed(name)
		if name == "" {
			model.Hybrid = true
		}
		if got := strings.Join(shapes(model.Map().Reads()), ","); got != want {
			t.Errorf("%s is read as\n%s, not\n%s", name, got, want)
		}
	}
	if got, want := shapes(String().Reads()), stringPlan; strings.Join(got, ",") != want {
		t.Errorf("string inverters are read as %v", got)
	}
}

func block(t *testing.T, m *Map, name string) Block {
	t.Helper()
	plan := m.Reads()
	i := slices.IndexFunc(plan, func(b Block) bool { return b.Name == name })
	if i < 0 {
		t.Fatalf("no block %s", name)
	}
	return plan[i]
}

func TestABlockIsCutAtItsWidestHole(t *testing.T) {
	for _, c := range []struct{ block, lo, hi string }{
		{"B", "B 5213 x 2", "B 5241 x 1"},
		{"A", "A 4999 x 22", "A 5032 x 3"},
		{"C", "C 5600 x 8", "C 5621 x 18"},
		{"D", "D 12999 x 48", "D 13049 x 30"}, // the alarms: what is left is what older firmware serves
		{"E", "E 5114 x 1", "E 5115 x 1"},
		{"identity", "identity 4951 x 32", "identity 4989 x 12"},
	} {
		lo, hi, ok := block(t, Hybrid(), c.block).Split()
		if got := shapes([]Block{lo, hi}); !ok || got[0] != c.lo || got[1] != c.hi {
			t.Errorf("%s is cut into %v, %v", c.block, got, ok)
		}
	}
}

func TestABlockWithoutHolesIsCutInTheMiddle(t *testing.T) {
	m := parsed(t, "name,number,type,block\na,11,u16,X\nb,12,u32,X\nc,14,u16,X\nd,15,u16,X\n")
	lo, hi, ok := block(t, m, "X").Split()
	if got := shapes([]Block{lo, hi}); !ok || got[0] != "X 10 x 3" || got[1] != "X 13 x 2" {
		t.Errorf("cut into %v, %v", got, ok)
	}
}

func TestTwoReadingsOfTheSameWordsAreNotCut(t *testing.T) {
	m := parsed(t, "name,number,type,block\nlow,11,u16,X\nboth,11,u32,X\n")
	if lo, hi, ok := block(t, m, "X").Split(); ok {
		t.Errorf("cut into %v", shapes([]Block{lo, hi}))
	}
}

// However often any block of any model is cut, a piece begins with a register and ends with one, cuts none, and all the
// registers are still there.
func TestNoCutLosesARegister(t *testing.T) {
	for _, m := range append(models(), Model{Hybrid: true}, Model{}) {
		for _, b := range m.Map().Reads() {
			var leaves int
			var cut func(b Block)
			cut = func(b Block) {
				first, end := b.Registers[0].Address(), 0
				for _, r := range b.Registers {
					end = max(end, r.end())
				}
				if b.Start != first || b.end() != end || b.Count > maxWords {
					t.Fatalf("%s: %v is not of its registers", m.Name, shapes([]Block{b}))
				}
				lo, hi, ok := b.Split()
				if !ok {
					leaves += len(b.Registers)
					return
				}
				if lo.end() > int(hi.Start) || len(lo.Registers)+len(hi.Registers) != len(b.Registers) {
					t.Fatalf("%s: %v overlap", m.Name, shapes([]Block{lo, hi}))
				}
				cut(lo)
				cut(hi)
			}
			cut(b)
			if leaves != len(b.Registers) {
				t.Fatalf("%s: %d of %d registers are left of %s", m.Name, leaves, len(b.Registers), b.Name)
			}
		}
	}
}

func TestOwnRegistersAreReadToo(t *testing.T) {
	own := parsed(t, strings.Join([]string{
		"name,number,kind,type,scale,unit,block",
		"battery_soc,13023,input,u16,1,%,D",      // replaced, not added
		"inside_d,13015,input,u32,,,",            // block D spans it
		"second_inverter,7000,input,u16,,W,",     // outside of everything
		"ems_mode,13050,holding,u16,,,",          // a setting is read when asked for
		"backup_frequency,5734,input,u16,,,mine", // known but not read till now
		"backup_power,5726,input,s32,,W,mine",
		"far,20000,input,u16,,,A",      // too far from A
		"setting,5007,holding,u16,,,B", // not of B's kind
		"identity_too,4985,input,u16,,,",
	}, "\n"))
	m := Hybrid().Overlay(own)
	if r, _ := m.Lookup("battery_soc"); r.Scale != 1 {
		t.Errorf("battery_soc was not replaced: %+v", r)
	}
	if got, want := len(namesOf(m)), len(namesOf(Hybrid()))+6; got != want || len(m.registers) != want {
		t.Errorf("%d registers by %d names, not %d", len(m.registers), got, want)
	}
	want := append(shapes(Hybrid().Reads()), "far 19999 x 1", "identity_too 4984 x 1", "mine 5725 x 9",
		"second_inverter 6999 x 1", "ems_mode 13049 x 1", "setting 5006 x 1")
	if got := shapes(m.Reads()); !slices.Equal(got, want) {
		t.Errorf("read as\n%q, not\n%q", got, want)
	}
	if r, _ := m.Lookup("inside_d"); r.Block != "D" {
		t.Errorf("%+v", r)
	}
	if Hybrid().Overlay(nil) != Hybrid() {
		t.Error("no own map makes another map")
	}
}

func TestNoBlockIsTooLongForOneRequest(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var text strings.Builder
		text.WriteString("name,number,kind,type,block\n")
		used := map[string]bool{}
		for range 20 {
			number := 1 + random.IntN(14000)
			if random.IntN(2) == 0 {
				number = 13000 + random.IntN(200)
			}
			name := "r" + strings.Repeat("x", random.IntN(30))
			if used[name] {
				continue
			}
			used[name] = true
			line := []string{name, strconv.Itoa(number), []string{"input", "holding"}[random.IntN(2)], "u16", []string{"", "A", "D", "D A", "identity"}[random.IntN(5)]}
			text.WriteString(strings.Join(line, ",") + "\n")
		}
		own, err := Parse(strings.NewReader(text.String()))
		if err != nil {
			continue // it does not fit together by itself
		}
		for _, b := range Hybrid().Overlay(own).Reads() {
			if b.Count > maxWords || slices.ContainsFunc(b.Registers, func(r Register) bool { return r.Kind != b.Kind }) {
				t.Fatalf("%v of\n%s", shapes([]Block{b}), &text)
			}
		}
	}
}
