package registers

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func parsed(t testing.TB, text string) *Map {
	t.Helper()
	m, err := Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestOneLineIsARegister(t *testing.T) {
	m := parsed(t, "\uFEFFname,number,type,kind,words,scale,unit,min,max,block,models,mppts,phases,unavailable,rescale,description\r\n"+
		"# mine\r\n"+
		"full, 13023 ,u32,holding,2,0.1,%,-1,1e3, A  B ,SH-RT; SH4.0RS,3,1,0xFFFF,1..100=1,\"a, b\"\r\n"+
		"bare,1,s16,,,,,,,,,,,,,\r\n"+
		"text,40,utf8,,20,,,,,,!SH-CX,,,,,\r\n")
	want := []Register{
		{Name: "bare", Number: 1, Words: 1, Type: S16, Scale: 1, Min: math.Inf(-1), Max: math.Inf(1)},
		{Name: "text", Number: 40, Words: 20, Type: UTF8, Scale: 1, Min: math.Inf(-1), Max: math.Inf(1), Models: []string{"!SH-CX"}},
		{Name: "full", Description: "a, b", Kind: Holding, Number: 13023, Words: 2, Type: U32, Scale: 0.1, Unit: "%",
			Min: -1, Max: 1000, Block: "A B", Models: []string{"SH-RT", "SH4.0RS"}, MPPTs: 3, Phases: 1,
			Unavailable: []uint64{0xFFFF}, Rescale: Rescale{1, 100, 1}},
	}
	if !reflect.DeepEqual(m.registers, want) {
		t.Errorf("%+v\nis not\n%+v", m.registers, want)
	}
}

func TestEveryMistakeIsNamedWithItsLine(t *testing.T) {
	const header = "name,number,type,kind,words,scale,unit,min,max,block,models,mppts,phases,unavailable,rescale\n"
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "line 1: no line names the columns"},
		{"columns", "name,nummer,name\na,1,u16\n", `line 1: no column is called "nummer"; there are ` + strings.Join(columns, ", ") + `
line 1: the column name is there twice
line 1: the column number is missing
line 1: the column type is missing`},
		{"cells", header + "Soc,x,u17,coil,a,b,,c,d,?,SH-XX,e,4,g,h\n", `line 2: the kind "coil" is not one of input, holding
line 2: the type "u17" is not one of u16, s16, u32, s32, utf8
line 2: the number "x" is not a whole number
line 2: the scale "b" is not a number
line 2: the min "c" is not a number
line 2: the max "d" is not a number
line 2: "SH-XX" is neither a model nor a family
line 2: the mppts "e" is not a whole number
line 2: the phases is 4, not 0 to 3
line 2: unavailable "g" is not a raw value such as 0xFFFF
line 2: rescale "h" is not of the form low..high=scale
line 2: the words "a" is not a whole number
line 2: words is 0, but a u16 has 1
line 2: the name "Soc" is not made of up to 63 of a-z 0-9 _, a letter first
line 2: the block "?" is not made of letters, digits, _ and -`},
		{"ranges", header + "a,0,u16,,,,,,,,,,,,\nb,70000,u16,,,,,,,,,,,,\nc,1,u16,,,0,,5,4,,,,,,\nd,65535,utf8,,3,,,,,,,,,,\ne,9,utf8,,,,,,,,,,,,\nf,9,u32,,1,inf,,,,,,,,,2..1=1\n",
			`line 2: the number is 0, not 1 to 65535
line 3: the number is 70000, not 1 to 65535
line 4: the scale is 0
line 4: min 5 is greater than max 4
line 5: 3 words at 65535 end after the last register
line 6: the words is 0, not 1 to 125
line 7: the scale "inf" is not a number
line 7: rescale "2..1=1" is not of the form low..high=scale
line 7: words is 1, but a u32 has 2`},
		{"lines", "name,number,type\n\n# a comment\na,1\nb,2,u16,x\n\"c\"d,3,u16\ne,5,u16\n\n\n\"e\",6,u16\n", `line 4: 2 fields, not 3
line 5: 4 fields, not 3
line 6: extraneous or missing " in quoted-field
line 10: e is already on line 7`},
		{"together", "name,number,type,kind,block\nwhole,10,u32,input,X\nhalf,11,u16,input,X\nsame,10,s32,input,X\nother,11,u16,holding,\nfar,140,u16,input,X\nsetting,12,u16,holding,X\n",
			`line 3: half (input 11) overlaps whole (input 10) of line 2
line 4: same (input 10) overlaps half (input 11) of line 3
line 6: far (input 140) makes the block X more than one request of 125 words of one kind`},
		{"kinds", "name,number,type,kind,block\na,1,u16,input,X\nb,2,u16,holding,X\n",
			`line 3: b (holding 2) makes the block X more than one request of 125 words of one kind`},
	} {
		m, err := Parse(strings.NewReader(c.text))
		if err == nil || m != nil || err.Error() != c.want {
			t.Errorf("%s:\n%v\nis not\n%s", c.name, err, c.want)
		}
	}
}

func TestAFileThatCannotBeReadIsNoMap(t *testing.T) {
	broken := errors.New("disk on fire")
	if _, err := Parse(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// No text may hang or break Parse, and what it accepts must be usable.
func FuzzParse(f *testing.F) {
	f.Add("name,number,type\nsoc,13023,u16\n")
	f.Add("name,number,type,block,models,rescale\n\"a\nb\",1,utf8,A,!SH-RS,1..2=3\n")
	f.Add("name,number,type,words,block\na,65535,utf8,1,A\nb,1,utf8,125,A\n")
	f.Add("\"")
	f.Add(hybridCSV[:2000])
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(strings.NewReader(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "line ") || m != nil {
				t.Fatalf("%v, %v", m, err)
			}
			return
		}
		both := Hybrid().Overlay(m)
		for r := range both.All() {
			if r.Words == 0 || r.end() > math.MaxUint16+1 {
				t.Fatalf("%+v", r)
			}
		}
		for _, b := range both.Reads() {
			if b.Count == 0 || b.Count > maxWords || b.end() > math.MaxUint16+1 {
				t.Fatalf("%v", shapes([]Block{b}))
			}
		}
	})
}

// Whatever an inverter answers, decoding gives a plausible value or says why not.
func FuzzDecode(f *testing.F) {
	f.Add(uint16(0), uint16(0xFFFF), uint16(0xFFFF))
	f.Add(uint16(40), uint16(0xFC60), uint16(0xFFFF))
	f.Add(uint16(3), uint16(0x4132), uint16(0x3132))
	f.Add(uint16(200), uint16(0x7FFF), uint16(0))
	f.Fuzz(func(t *testing.T, which, low, high uint16) {
		for _, m := range []*Map{Hybrid(), String()} {
			r := m.registers[int(which)%len(m.registers)]
			w := make(Words)
			for i := range r.Words {
				w[r.Address()+i] = []uint16{low, high}[i%2]
			}
			if r.Type == UTF8 {
				if s, err := r.Text(w); err == nil && (s == "" || !printable(s)) {
					t.Fatalf("%v = %q", r, s)
				}
			} else if v, err := r.Decode(w); err == nil && (v < r.Min || v > r.Max || math.IsNaN(v)) {
				t.Fatalf("%v = %v", r, v)
			}
			roundTrip(t, r, w)
		}
	})
}
