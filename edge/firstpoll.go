package edge

// restFirst makes the first poll of this process wait for the rest of the dongle, unless the last touch is so recent that
// no other process can have come after it: what it does not know of, an earlier process may have done that could not
// write its file, because the disk was full or read-only. It is to be called before Wait.
func (p *Pace) restFirst() {
	p.last = p.remembered()
	if t := now(); t.Sub(p.last) >= p.rest() {
		p.touched = t
	}
}
