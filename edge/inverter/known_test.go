package inverter

import "testing"

func TestValidSerial(t *testing.T) {
	for s, ok := range map[string]bool{"": true, "A2212345678": true, "A22…678": true, "A22...678": true, "B12ab45": true,
		"A22 678": false, "\"A2212345678\"": false, "A2212345678A2212345678": false, "A..678": false} {
		if ValidSerial(s) != ok {
			t.Errorf("%q: valid %v", s, !ok)
		}
	}
}
