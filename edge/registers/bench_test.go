package registers

import "testing"

// One poll of an SH10RT: about 100 values.
func BenchmarkDecode(b *testing.B) {
	m, _ := ModelNamed("SH10RT")
	mapping, w := m.Map(), make(Words)
	for _, block := range mapping.Reads() {
		for i := range block.Count {
			w[block.Start+i] = i
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		for r := range mapping.All() {
			if r.Block != "" && r.Type != UTF8 {
				_, _ = r.Decode(w)
			}
		}
	}
}
