// SPDX-License-Identifier: BSD-3-Clause

import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpSession;
import java.io.IOException;

/** POST logs in: it makes a session, for a user, with a count of 0. GET counts up in it, and says "USER COUNT". */
public class Count extends HttpServlet {
	private static final long serialVersionUID = 1;

	@Override
	protected void doPost(HttpServletRequest request, HttpServletResponse response) {
		sayWho(response);
		HttpSession session = request.getSession();
		session.setAttribute("user", request.getParameter("user"));
		session.setAttribute("count", 0);
	}

	@Override
	protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
		sayWho(response);
		HttpSession session = request.getSession(false);
		if (session == null) {
			response.setStatus(HttpServletResponse.SC_UNAUTHORIZED);
			return;
		}
		int count = (Integer) session.getAttribute("count") + 1;
		session.setAttribute("count", count);
		response.getWriter().print(session.getAttribute("user") + " " + count);
	}

	/** As the lab's nginx does. */
	private static void sayWho(HttpServletResponse response) {
		response.setHeader("Berth-Backend", System.getProperty("node"));
	}
}
