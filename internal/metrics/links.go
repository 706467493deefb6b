package metrics

import "sunspool/health"

// ShowLinks has s show sunspool_link_up of each link of a chain, with the label device unless device is empty.
func (s *Set) ShowLinks(chain *health.Chain, device string) {
	f := Family{Name: "sunspool_link_up", Help: "1 while a link of the chain works or rests, 0 while it is broken; none until something has crossed it.",
		Labels: []string{"link"}}
	var labels []string
	if device != "" {
		f.Labels, labels = append(f.Labels, "device"), []string{device}
	}
	s.Show(func(v *Values) {
		for _, link := range chain.Status() {
			switch link.State {
			case health.OK, health.Resting:
				v.Add(f, 1, append([]string{link.Name}, labels...)...)
			case health.Broken:
				v.Add(f, 0, append([]string{link.Name}, labels...)...)
			}
		}
	}, f)
}
